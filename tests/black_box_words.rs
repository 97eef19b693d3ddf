//! The error of an unsaved black box is formatted while the allocator is sealed.
#![cfg(feature = "linux")]

mod device_count;

use core::fmt::Write as _;

use device_count::allocator_calls;
use steadfast::telemetry::blackbox::BlackBoxConfig;
use steadfast::telemetry::blackbox::store::Store;

#[test]
fn the_reason_for_an_unsaved_black_box_is_formatted_without_allocating() {
    let folder = std::env::temp_dir().join(format!("black-box-words-{}", std::process::id()));
    let config = BlackBoxConfig {
        position: (1, 1),
        directory: folder.to_str().unwrap().to_owned(),
        size_limit: 1_000_000,
        seconds: 1,
        memory: String::new(),
    };
    let mut store = Store::open(&config, "board").unwrap();
    for (errno, words) in [
        (libc::ENOSPC, "no space left on the device"),
        (libc::EROFS, "read-only file system"),
        (libc::EIO, "EIO"),
    ] {
        let refused = store.save(10, |_| Err(std::io::Error::from_raw_os_error(errno)));
        let error = refused.unwrap_err();
        let mut text = heapless::String::<128>::new();
        let calls = allocator_calls(|| write!(text, "{error}").unwrap());
        assert!(text.contains(words), "{text}");
        assert_eq!(calls, 0, "calls of the allocator for '{text}'");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
