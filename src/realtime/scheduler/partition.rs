//! The isolated cpuset partition of the process's control group
//! (Documentation/admin-guide/cgroup-v2.rst, "Cpuset Interface Files").
//!
//! A partition takes its CPUs away from all other groups, and, if it is `isolated`, from the load
//! balancer: no reboot, no kernel parameter. Nothing moves a thread inside it, so each of its
//! threads has to choose its CPU. `/sys/devices/system/cpu/isolated` does not show it: that file
//! has the CPUs of `isolcpus=` alone.

use std::fs;
use std::path::Path;

use super::{CpuSet, parse_cpu_list};

/// The partition that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Not an isolated one, or no cgroup v2 below `/sys/fs/cgroup`.
    None,
    /// An isolated one, with the CPUs of it that the process may use.
    Isolated(CpuSet),
    /// One that the kernel has not made, with its reason.
    Invalid(String),
}

impl Partition {
    /// Reads the partition of this process below `root`: that of its own control group, or of the
    /// nearest group above it that begins one. Allocates.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let groups = root.join("sys/fs/cgroup");
        let Ok(own) = fs::read_to_string(root.join("proc/self/cgroup")) else {
            return Self::None;
        };
        // 0::/system.slice/steadfast.service (cgroups(7))
        let Some(own) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
            return Self::None;
        };
        let own = groups.join(own);
        let above = || {
            own.ancestors()
                .take_while(|group| group.starts_with(&groups))
        };
        let state = above()
            .filter_map(|group| text(group, "cpuset.cpus.partition"))
            .find(|state| state != "member");
        match state.as_deref() {
            Some("isolated") => {
                let cpus = above().find_map(|group| text(group, "cpuset.cpus.effective"));
                let cpus = cpus.and_then(|list| parse_cpu_list(&list).ok());
                cpus.map_or(Self::None, Self::Isolated)
            }
            Some(state) => match state.strip_prefix("isolated invalid") {
                Some(reason) => Self::Invalid(reason.trim().to_owned()),
                None => Self::None,
            },
            None => Self::None,
        }
    }
}

/// The CPUs of all isolated partitions below `root` (since Linux 6.8); empty if that is not known.
/// Allocates.
#[must_use]
pub fn partitioned(root: &Path) -> CpuSet {
    let list = text(&root.join("sys/fs/cgroup"), "cpuset.cpus.isolated");
    list.and_then(|list| parse_cpu_list(&list).ok())
        .unwrap_or(CpuSet::EMPTY)
}

fn text(group: &Path, file: &str) -> Option<String> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The partition of a process in `/a/b`, with these files of groups.
    fn read(name: &str, files: &[(&str, &str)]) -> Partition {
        let root = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let groups = root.join("sys/fs/cgroup");
        fs::create_dir_all(groups.join("a/b")).unwrap();
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::write(root.join("proc/self/cgroup"), "1:cpu:/x\n0::/a/b\n").unwrap();
        fs::write(groups.join("cpuset.cpus.effective"), "0\n").unwrap();
        for (file, text) in files {
            fs::write(groups.join(file), text).unwrap();
        }
        let partition = Partition::read(&root);
        fs::remove_dir_all(root).unwrap();
        partition
    }

    fn isolated(list: &str) -> Partition {
        Partition::Isolated(parse_cpu_list(list).unwrap())
    }

    #[test]
    fn the_partition_of_a_group_above_is_found_with_the_cpus_of_the_own_group() {
        let slice = ("a/cpuset.cpus.partition", "isolated\n");
        let cpus = ("a/cpuset.cpus.effective", "2-3\n");
        assert_eq!(read("slice", &[slice, cpus]), isolated("2-3"));
        let member = ("a/b/cpuset.cpus.partition", "member\n");
        let narrow = ("a/b/cpuset.cpus.effective", "3\n");
        let files = [slice, cpus, member, narrow];
        assert_eq!(read("narrow", &files), isolated("3"));
    }

    #[test]
    fn a_balanced_partition_below_an_isolated_one_is_not_isolated() {
        let files = [
            ("a/cpuset.cpus.partition", "isolated\n"),
            ("a/b/cpuset.cpus.partition", "root\n"),
            ("a/b/cpuset.cpus.effective", "2\n"),
        ];
        assert_eq!(read("balanced", &files), Partition::None);
        assert_eq!(read("without", &[]), Partition::None);
    }

    #[test]
    fn an_invalid_partition_has_the_reason_of_the_kernel() {
        let text = "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n";
        let reason = "(Cpu list in cpuset.cpus not exclusive)".to_owned();
        let files = [("a/cpuset.cpus.partition", text)];
        assert_eq!(read("invalid", &files), Partition::Invalid(reason));
    }

    #[test]
    fn the_partitions_of_others_are_listed_by_the_root_group() {
        let root = std::env::temp_dir().join(format!("partitioned-{}", std::process::id()));
        assert_eq!(partitioned(&root), CpuSet::EMPTY);
        let group = root.join("sys/fs/cgroup");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cpuset.cpus.isolated"), "2-3\n").unwrap();
        assert_eq!(partitioned(&root), parse_cpu_list("2-3").unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn this_machine_has_a_readable_group_or_none() {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(Partition::read(nowhere), Partition::None);
    }
}
