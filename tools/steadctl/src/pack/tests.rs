use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use steadfast::telemetry::blackbox::crc32;
use steadfast::telemetry::flight::{MAGIC, VERSION, layout};
use testbed::program::Scratch;

use super::{Arguments, Machine, pack};

/// Words that must not be in an archive, each planted where a real machine has such.
const PLANTED: [(&str, &str); 12] = [
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/hostname", "robot-of-planted-owner\n"),
    ("sys/class/net/eth0/address", "dc:a6:32:12:34:56\n"),
    (
        "sys/firmware/devicetree/base/serial-number",
        "100000003d1f5a7b\0",
    ),
    (
        "sys/firmware/devicetree/base/chosen/rng-seed",
        "planted-seed\0",
    ),
    (
        "sys/firmware/devicetree/base/ethernet@1/local-mac-address",
        "\u{1}planted-address",
    ),
    (
        "sys/firmware/devicetree/base/node/vendor,id",
        "x 100000003D1F5A7B\0",
    ),
    (
        "data/steadfast/card/network",
        "[Network]\nAddress=planted-network\n",
    ),
    (
        "data/steadfast/card/authorized_keys",
        "ssh-ed25519 planted-key\n",
    ),
    (
        "data/steadfast/hawkbit.conf",
        "auth_token = planted-token\n",
    ),
    ("etc/shadow", "root:planted-hash:1::::::\n"),
    ("etc/wpa_supplicant.conf", "psk=\"planted-psk\"\n"),
];

const BOARD: &str = "[board]\nname = \"b\"\n[black_box]\ndirectory = \"/data/boxes\"\n\
                     [parameters]\nfile = \"/data/parameters/saved.toml\"\n";

/// A root folder with what a board has, and programs that answer as the real ones do.
struct Root {
    scratch: Scratch,
    root: PathBuf,
}

impl Root {
    fn new(test: &str) -> Self {
        let scratch = Scratch::new(test);
        let root = scratch.path("root");
        let this = Self { scratch, root };
        for (file, text) in PLANTED {
            this.put(file, text.as_bytes());
        }
        this.put("data/board.toml", BOARD.as_bytes());
        this.put(
            "run/card/environment",
            b"STEADFAST_BOARD=/data/board.toml\n",
        );
        this.put("data/boxes/b-000001.blackbox", &black_box());
        this.put("data/parameters/saved.toml", b"[parameters]\n[end]\n");
        this.put(
            "run/steadfast/b.flight",
            &flight("kept   scheduler      FIFO 80\n"),
        );
        this.put("proc/version", b"Linux version 6.12.1-rt\n");
        this.put(
            "proc/cmdline",
            b"console=ttyS0 isolcpus=3 quiet ip=planted-ip x=\"planted word=planted\" rauc.slot=A\n",
        );
        this.put(
            "etc/os-release",
            b"PRETTY_NAME=\"Debian 13\"\nHOME_URL=\"https://d.example\"\n",
        );
        let tree = "sys/firmware/devicetree/base";
        this.put(&format!("{tree}/model"), b"Board \"B\"\0");
        this.put(&format!("{tree}/name"), b"\0");
        this.put(&format!("{tree}/#address-cells"), &[0, 0, 0, 2]);
        this.put(&format!("{tree}/node/compatible"), b"a,b\0c,d\0");
        this.put(&format!("{tree}/node/bytes"), &[1, 2, 255]);
        this.put(&format!("{tree}/node/flag"), b"");
        this.put(
            &format!("{tree}/chosen/bootargs"),
            b"quiet secret=planted-argument\0",
        );
        this.program(
            "steadfast",
            "echo \"firmware $*\"; echo refused >&2; exit 2",
        );
        this.program(
            "systemctl",
            "echo Environment=A=planted-variable STEADFAST_BOARD=/etc/board.toml\n\
             echo 'EnvironmentFiles=/run/card/environment (ignore_errors=yes)'",
        );
        this.program(
            "journalctl",
            "echo \"steadfast: line DC:A6:32:12:34:56 01234567-89ab-cdef-0123-456789abcdef $*\"",
        );
        this
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn program(&self, name: &str, script: &str) {
        let file = format!("programs/{name}");
        self.put(&file, format!("#!/bin/sh\n{script}\n").as_bytes());
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root.join(file), mode).unwrap();
    }

    /// Packs, and gives what was printed and what is in the archive.
    fn packed(&self) -> (String, BTreeMap<String, Vec<u8>>) {
        let file = self.scratch.path("report.tar.gz");
        let said = self.pack(&file).unwrap_or_else(|line| panic!("{line}"));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others may read it");
        let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (
                name.strip_prefix("steadfast-report/").unwrap().to_owned(),
                bytes,
            )
        });
        (said, entries.collect())
    }

    fn pack(&self, file: &Path) -> Result<String, String> {
        let machine = Machine {
            root: self.root.clone(),
            programs: Some(self.root.join("programs").into()),
        };
        let arguments = Arguments {
            pack: file.to_owned(),
            board: None,
            unit: "steadfast".to_owned(),
            program: PathBuf::from("steadfast"),
        };
        pack(&arguments, &machine).map_err(|crate::Failure(code, line)| format!("{code}: {line}"))
    }
}

/// The head of a black box, and nothing behind it.
fn black_box() -> Vec<u8> {
    let mut bytes = b"SFBLKBOX\x01\0\0\0".to_vec();
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

/// A flight file with this contract and nothing else.
fn flight(contract: &str) -> Vec<u8> {
    let mut bytes = vec![0; layout::MAPPED];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&VERSION.to_le_bytes());
    bytes[layout::CONTRACT..][..contract.len()].copy_from_slice(contract.as_bytes());
    bytes
}

fn text<'f>(files: &'f BTreeMap<String, Vec<u8>>, name: &str) -> &'f str {
    let bytes = files
        .get(name)
        .unwrap_or_else(|| panic!("{name}: {:?}", files.keys()));
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_archive_has_each_part_and_its_list_is_what_is_printed() {
    let root = Root::new("pack-whole");
    let (said, files) = root.packed();
    let has = |name: &str, words: &str| {
        let found = text(&files, name);
        assert!(found.contains(words), "{name}: {found}");
    };
    has("board.toml", BOARD);
    has(
        "doctor",
        "firmware doctor --board /data/board.toml\nrefused\nexit code 2\n",
    );
    has("check", "firmware check /data/board.toml");
    has("b.contract", "kept   scheduler      FIFO 80");
    has("b.status", "contract         not judged yet");
    has("journal", "--unit steadfast --unit steadfast-card");
    has("saved-parameters.toml", "[end]");
    has(
        "versions",
        "firmware --version\nkernel: Linux version 6.12.1-rt\n",
    );
    has(
        "versions",
        "system: PRETTY_NAME=\"Debian 13\"\nboard: Board \"B\"\n",
    );
    has(
        "versions",
        "console=ttyS0 isolcpus=3 quiet ip=(left out) x=(left out) rauc.slot=A\n",
    );
    assert_eq!(files["black-box/b-000001.blackbox"], black_box());
    assert_eq!(files["b.flight"].len(), layout::MAPPED);
    let contents = text(&files, "CONTENTS");
    assert!(said.ends_with(contents), "{said}");
    assert!(!said.contains("not packed"), "{said}");
    for name in files.keys().filter(|name| *name != "CONTENTS") {
        assert!(
            contents.contains(&format!("  {name} ")),
            "{name}: {contents}"
        );
    }
}

#[test]
fn no_planted_secret_is_in_the_archive() {
    let root = Root::new("pack-secrets");
    // As a controller that an attacker has taken over could plant them.
    symlink(
        "/etc/shadow",
        root.root.join("data/boxes/b-000002.blackbox"),
    )
    .unwrap();
    let outside = root.root.join("etc/shadow");
    symlink(&outside, root.root.join("data/boxes/b-000003.blackbox")).unwrap();
    symlink(&outside, root.root.join("run/steadfast/c.flight")).unwrap();
    fs::copy(&outside, root.root.join("data/boxes/b-000004.blackbox")).unwrap();
    fs::copy(&outside, root.root.join("data/parameters/saved.toml")).unwrap();
    let (said, files) = root.packed();
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        let texts = [text.as_str(), said.as_str()];
        for word in [
            "planted",
            "0123456789abcdef0123456789abcdef",
            "01234567-89ab-cdef",
            "dc:a6:32",
            "3d1f5a7b",
        ] {
            assert!(
                texts.iter().all(|text| !text.contains(word)),
                "{name}: {text}\n{said}"
            );
        }
    }
    for words in [
        "b-000002.blackbox: Too many levels of symbolic links",
        "b-000003.blackbox: Too many levels of symbolic links",
        "b-000004.blackbox: is not a black box",
        "c.flight: Too many levels of symbolic links",
        "saved.toml: is not a file of saved parameters",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(text(&files, "journal").contains("line (left out) (left out)"));
}

#[test]
fn the_device_tree_is_source_that_has_every_other_property() {
    let root = Root::new("pack-tree");
    let (_, files) = root.packed();
    let expected = "/dts-v1/;\n\n/ {\n\t#address-cells = <0x2>;\n\tmodel = \"Board \\\"B\\\"\";\n\
        \t/* serial-number: left out */\n\
        \tchosen {\n\t\tbootargs = \"quiet secret=(left out)\";\n\t\t/* rng-seed: left out */\n\t};\n\
        \tethernet@1 {\n\t\t/* local-mac-address: left out */\n\t};\n\
        \tnode {\n\t\tbytes = [01 02 ff];\n\t\tcompatible = \"a,b\", \"c,d\";\n\t\tflag;\n\
        \t\t/* vendor,id: left out */\n\t};\n};\n";
    assert_eq!(text(&files, "device-tree.dts"), expected);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_packed() {
    let root = Root::new("pack-missing");
    for folder in ["data", "run", "sys", "etc", "proc"] {
        fs::remove_dir_all(root.root.join(folder)).unwrap();
    }
    fs::remove_file(root.root.join("programs/steadfast")).unwrap();
    root.program("systemctl", "exit 1");
    root.program(
        "journalctl",
        "echo 'No journal files were found.' >&2; exit 1",
    );
    let (said, files) = root.packed();
    let contents = text(&files, "CONTENTS");
    for (what, why) in [
        ("versions: the firmware", "name it with --program"),
        ("board.toml", "has no STEADFAST_BOARD; name it with --board"),
        ("doctor", "name the firmware with --program"),
        ("status", "/run/steadfast: No such file"),
        ("black-box", "names no folder"),
        ("journal", "No journal files were found."),
        (
            "device-tree.dts",
            "/sys/firmware/devicetree/base: No such file",
        ),
    ] {
        let named = |line: &str| line.trim_start().starts_with(what) && line.contains(why);
        assert!(contents.lines().any(named), "{what}, {why}: {contents}");
    }
    assert!(said.ends_with(contents));
    assert!(text(&files, "versions").starts_with("steadctl "));

    // Opening a pipe would wait for its writer.
    root.put("data/x", b"");
    let pipe = root.root.join("data/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    root.program("systemctl", "echo Environment=STEADFAST_BOARD=/data/pipe");
    fs::remove_file(root.scratch.path("report.tar.gz")).unwrap();
    let (said, _) = root.packed();
    assert!(said.contains("/data/pipe: is not a file"), "{said}");
}

#[test]
fn a_target_that_exists_or_cannot_be_written_is_refused_and_kept() {
    let root = Root::new("pack-target");
    let taken = root.scratch.file("taken", "kept");
    let line = root.pack(&taken).unwrap_err();
    assert!(
        line.starts_with("2: ") && line.contains("already exists; name"),
        "{line}"
    );
    assert_eq!(fs::read_to_string(&taken).unwrap(), "kept");
    let line = root.pack(&root.scratch.path("no/folder")).unwrap_err();
    assert!(
        line.starts_with("1: ") && line.contains("cannot be created: No such"),
        "{line}"
    );
}
