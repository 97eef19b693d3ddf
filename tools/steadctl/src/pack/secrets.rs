//! What must not leave the machine.
//!
//! Files with secrets are never read. What remains are the identities of the machine in texts of
//! others: they are removed by value, wherever they occur. Values of the kernel's command line are
//! packed by a list of known arguments.

use std::fs;
use std::path::Path;

use super::machine::Machine;

/// The end of the list of contents.
pub(super) const LEFT_OUT: &str = "\
left out: keys, passwords, network settings, the machine's name, its machine id, serial numbers and
          hardware addresses, the kernel's log, values of unknown arguments of the kernel
";

/// The marker in place of a value.
const MARK: &str = "(left out)";
/// Shorter values would be found where they are not meant.
const SHORTEST: usize = 8;

/// The identities of a machine.
#[derive(Debug)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(machine: &Machine) -> Self {
        let text = |path: &str| machine.text(Path::new(path)).unwrap_or_default();
        let mut values = vec![text("/sys/firmware/devicetree/base/serial-number")];
        let id = text("/etc/machine-id").trim().to_owned();
        if id.len() == 32 && id.is_ascii() {
            // As a UUID.
            values.push([&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-"));
        }
        values.push(id);
        let net = Path::new("/sys/class/net");
        for entry in fs::read_dir(machine.at(net))
            .into_iter()
            .flatten()
            .flatten()
        {
            let address = machine
                .text(&net.join(entry.file_name()).join("address"))
                .unwrap_or_default();
            let address = address.trim().to_owned();
            values.push(address.replace(':', "-"));
            values.push(address);
        }
        let values = values
            .into_iter()
            .map(|value| value.trim_matches(['\0', '\n', ' ']).to_owned());
        let nothing = |value: &str| value.bytes().all(|byte| b"0:-".contains(&byte));
        Self(
            values
                .filter(|value| value.len() >= SHORTEST && !nothing(value))
                .collect(),
        )
    }

    /// `text` with a marker in place of each of them, in any case of letters.
    pub(super) fn removed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.0 {
            let lower = text.to_ascii_lowercase();
            let mut rest = 0;
            let mut out = String::new();
            for (at, found) in lower.match_indices(&value.to_ascii_lowercase()) {
                out += &text[rest..at];
                out += MARK;
                rest = at + found.len();
            }
            text.replace_range(..rest, &out);
        }
        text
    }

    /// Whether a value of the device tree must be left out: an identity, or a value that the boot
    /// loader has put into `/chosen` and that is not known to be harmless.
    pub(super) fn hide_property(&self, node: &str, name: &str, value: &[u8]) -> bool {
        const PARTS: [&str; 8] = [
            "serial",
            "mac-address",
            "seed",
            "uuid",
            "duid",
            "password",
            "secret",
            "psk",
        ];
        const CHOSEN: [&str; 6] = [
            "bootargs",
            "stdout-path",
            "linux,initrd-start",
            "linux,initrd-end",
            "u-boot,version",
            "linux,uefi-system-table",
        ];
        let is_text = String::from_utf8_lossy(value);
        PARTS.iter().any(|part| name.contains(part))
            || node == "/chosen" && !CHOSEN.contains(&name)
            || self.removed(&is_text) != is_text
    }
}

/// Arguments of the kernel whose values are packed. A name that ends in a dot is that of a module.
const KNOWN: &[&str] = &[
    "8250.",
    "BOOT_IMAGE",
    "arm64.",
    "bcm2835_wdt.",
    "clocksource",
    "cma",
    "coherent_pool",
    "console",
    "cpufreq.",
    "cpuidle.",
    "earlycon",
    "hugepages",
    "idle",
    "imx2_wdt.",
    "init",
    "intel_idle.",
    "intel_pstate",
    "irqaffinity",
    "isolcpus",
    "loglevel",
    "maxcpus",
    "mem",
    "mitigations",
    "nmi_watchdog",
    "nohz",
    "nohz_full",
    "nr_cpus",
    "panic",
    "pinctrl_bcm2835.",
    "preempt",
    "processor.",
    "rauc.slot",
    "rcu_nocbs",
    "rcupdate.",
    "rcutree.",
    "root",
    "rootdelay",
    "rootfstype",
    "rootflags",
    "skew_tick",
    "spi_bcm2835.",
    "spi_imx.",
    "swiotlb",
    "systemd.unit",
    "threadirqs",
    "transparent_hugepage",
    "tsc",
    "watchdog.",
];
/// Arguments without a value.
const FLAGS: &[&str] = &[
    "debug",
    "earlycon",
    "nosmt",
    "nosoftlockup",
    "nowatchdog",
    "quiet",
    "rcu_nocb_poll",
    "ro",
    "rootwait",
    "rw",
    "threadirqs",
];

/// The command line of the kernel, with a marker in place of each value that is not known to be
/// harmless.
pub(super) fn arguments(line: &str) -> String {
    let mut quoted = false;
    // As the kernel does it: a space inside of quotes ends no argument.
    let words = line.trim().split(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    let shown = words
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            Some((name, _)) if is_known(name) => word.to_owned(),
            Some((name, _)) if is_name(name) => format!("{name}={MARK}"),
            None if FLAGS.contains(&word) => word.to_owned(),
            Some(_) | None => MARK.to_owned(),
        });
    shown.collect::<Vec<_>>().join(" ")
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| match known.ends_with('.') {
        true => name.starts_with(known),
        false => name == *known,
    })
}

/// Whether it can be the name of an argument, and not the rest of a quoted value.
fn is_name(name: &str) -> bool {
    let first = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    first
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
