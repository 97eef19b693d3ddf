//! Prints all tables and keys of this machine's board files in Markdown:
//! `cargo run --example keys > KEYS.md`.

use my_robot::{BOARD, firmware};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let real = include_str!("../board.linux.toml");
    let keys = firmware().keys(&[("board.toml", BOARD), ("board.linux.toml", real)])?;
    for line in keys.undescribed() {
        eprintln!("not described: {line}");
    }
    print!("{keys}");
    Ok(())
}
