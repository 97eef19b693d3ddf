//! The archive for a bug report, made on the board.

use crate::target::Target;
use crate::{Case, Failure, require};

/// After the cases that leave black boxes.
pub(crate) const CASES: &[Case] = &[Case {
    name: "doctor_packs_one_archive_without_secrets_beside_the_running_controller",
    run: packed,
}];

const ARCHIVE: &str = "/data/report.tar.gz";

fn packed(target: &mut Target) -> Result<(), Failure> {
    target.until_active()?;
    target.ask("echo 'auth_token = planted' >/data/steadfast/hawkbit.conf; echo '# planted' >>/data/steadfast/card/network")?;
    let said = target.ask(&format!("steadctl doctor --pack {ARCHIVE} 2>&1"))?;
    target.ask("rm /data/steadfast/hawkbit.conf")?;
    let size = said.lines().next().unwrap_or_default().to_owned();
    target.say(&format!("archive of a bug report: {size}"));
    for name in [
        "versions",
        "board.toml               /data/steadfast/card/board.toml",
        "doctor",
        "edited.status",
        "edited.contract",
        "edited.flight",
        "black-box/edited-0",
        "journal",
        "device-tree.dts",
    ] {
        let listed = said
            .lines()
            .any(|line| line.starts_with(&format!("  {name}")));
        require(listed, || {
            format!("expected {name} in the list, got: {said}")
        })?;
    }
    require(!said.contains("not packed:"), || {
        format!("expected each part, got: {said}")
    })?;
    target.ask(&format!("cd /run && tar -xzf {ARCHIVE} && cd steadfast-report && ls && grep -q 'Started steadfast' journal && grep -q 'linux,dummy-virt' device-tree.dts && grep -q 'isolcpus=' versions && grep -q PREEMPT_RT doctor && grep -q 'kept   scheduler' edited.contract && ! grep BROKEN edited.contract && cmp board.toml /data/steadfast/card/board.toml && for box in black-box/*; do steadctl blackbox $box >/dev/null || exit 1; done"))?;
    let id = target.ask("systemd-id128 machine-id")?;
    let (status, lines) = target.run(&format!(
        "ls /run/steadfast-report && grep -rliF -e planted -e {id} /run/steadfast-report"
    ))?;
    require(id.len() == 32 && status == 1, || {
        format!("secrets are in the archive: {lines:?}")
    })?;
    let (status, lines) = target.run(&format!("steadctl doctor --pack {ARCHIVE} 2>&1"))?;
    require(status == 2 && lines.len() == 1, || {
        format!("an archive that exists was not refused: {status}, {lines:?}")
    })?;
    target.ask(&format!("rm -r {ARCHIVE} /run/steadfast-report"))?;
    target.until_active()
}
