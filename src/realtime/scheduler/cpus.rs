//! Reads and displays the kernel's lists of CPUs, and chooses the loop's CPU.

use core::fmt;

use super::CpuSet;

/// The error of an invalid list of CPUs.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct BadCpuList {
    /// Index of the invalid part, from 0; parts are separated by commas.
    pub part: usize,
}

impl fmt::Display for BadCpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entry {} of the CPU list is not a CPU number below 1024",
            self.part
        )
    }
}

impl std::error::Error for BadCpuList {}

/// Parses a list such as `2-3,5` (cpuset(7), "List format"), as in
/// `/sys/devices/system/cpu/{online,isolated,nohz_full}`. The list may be empty and have blanks
/// around it. `(null)`, which some kernels write for an unset nohz_full, counts as empty. A
/// stride (`0-6:2/4`), which the kernel never writes there, is refused.
///
/// # Errors
/// [`BadCpuList`]: a part is not a CPU number or range below 1024.
pub fn parse_cpu_list(text: &str) -> Result<CpuSet, BadCpuList> {
    let mut set = CpuSet::EMPTY;
    let text = text.trim();
    if text.is_empty() || text == "(null)" {
        return Ok(set);
    }
    for (part, range) in text.split(',').enumerate() {
        let bad = BadCpuList { part };
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| bad);
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return Err(bad);
        }
        for cpu in first..=last {
            if !set.insert(cpu) {
                return Err(bad);
            }
        }
    }
    Ok(set)
}

/// Displays a set of CPUs as the kernel writes it: `0-2,5`; an empty set as `none`.
#[derive(Copy, Clone, Debug)]
pub struct CpuList<'s>(pub &'s CpuSet);

impl fmt::Display for CpuList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(set) = self;
        if set.is_empty() {
            return f.write_str("none");
        }
        let first = |cpu: &usize| *cpu == 0 || !set.contains(cpu - 1);
        for (index, first) in set.iter().filter(first).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let last = (first..).take_while(|cpu| set.contains(*cpu)).last();
            match last {
                Some(last) if last > first => write!(f, "{separator}{first}-{last}")?,
                _ => write!(f, "{separator}{first}")?,
            }
        }
        Ok(())
    }
}

/// The CPU of a loop with `cpu = "isolated"`: the highest that is isolated and online. `None`
/// without such a CPU; the loop is then not pinned, because pinning to a shared CPU only removes
/// the other CPUs.
#[must_use]
pub fn default_cpu(isolated: &CpuSet, online: &CpuSet) -> Option<usize> {
    isolated.iter().rfind(|&cpu| online.contains(cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_shown_as_the_kernel_writes_it() {
        for list in ["0", "3", "0-3", "0,2", "1-2,5,1020-1023"] {
            let set = parse_cpu_list(list).unwrap();
            assert_eq!(CpuList(&set).to_string(), list);
        }
        assert_eq!(CpuList(&CpuSet::EMPTY).to_string(), "none");
    }

    fn listed(text: &str) -> Vec<usize> {
        parse_cpu_list(text).unwrap().iter().collect()
    }

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(listed("0-3\n"), [0, 1, 2, 3]);
        assert_eq!(listed("2-3,5,63-65"), [2, 3, 5, 63, 64, 65]);
        assert_eq!(listed("\n"), [0_usize; 0]);
        assert_eq!(listed("(null)\n"), [0_usize; 0]);
    }

    #[test]
    fn an_invalid_cpu_list_is_refused_with_its_invalid_part() {
        for (text, part) in [
            ("1,x", 1),
            ("3-2", 0),
            ("0,1,1024", 2),
            ("1,,2", 1),
            ("-1", 0),
        ] {
            assert_eq!(parse_cpu_list(text), Err(BadCpuList { part }), "{text}");
        }
    }

    #[test]
    fn the_highest_isolated_cpu_that_is_online_is_taken() {
        let set = |text| parse_cpu_list(text).unwrap();
        assert_eq!(default_cpu(&set("2-3"), &set("0-3")), Some(3));
        assert_eq!(default_cpu(&set("2-3"), &set("0-2")), Some(2));
        assert_eq!(default_cpu(&set(""), &set("0-3")), None);
    }
}
