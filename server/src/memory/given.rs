//! What the system gives a process of memory, and what it has taken.

use std::fs;
use std::path::Path;

/// The unit of `statm` (it is the page of all systems that run this binary).
const PAGE_BYTES: u64 = 4_096;

/// Bytes that the machine and the cgroups around this process give; nothing where they do not tell.
pub(super) fn bytes() -> Option<u64> {
    given(machine(), &read)
}

/// Bytes that this process has written to and cannot be thrown away.
pub(super) fn used() -> Option<u64> {
    anonymous(&read(Path::new("/proc/self/statm"))?)
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// What is resident and of no file, by `/proc/self/statm` (proc(5)).
fn anonymous(statm: &str) -> Option<u64> {
    let mut pages = statm.split_ascii_whitespace().skip(1);
    let mut next = || pages.next()?.parse::<u64>().ok();
    let (resident, of_files) = (next()?, next()?);
    Some(resident.saturating_sub(of_files) * PAGE_BYTES)
}

/// The least that the machine and every cgroup around this process give.
fn given(machine: Option<u64>, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kinds, path) = (parts.next()?, parts.next()?);
        let (root, file) = match kinds {
            "" => ("/sys/fs/cgroup", "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let all = Path::new(path.trim_start_matches('/')).ancestors();
        let limits = all.filter_map(|group| {
            let told = read(&Path::new(root).join(group).join(file))?;
            told.trim().parse::<u64>().ok()
        });
        limits.min()
    });
    groups.chain(machine).min()
}

/// What the machine has; asked of the system itself, because a service may not see `/proc/meminfo`.
#[cfg(target_os = "linux")]
fn machine() -> Option<u64> {
    let told = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of the field is the system's"
    )]
    u64::from(told.totalram).checked_mul(u64::from(told.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_by(machine: Option<u64>, files: &[(&str, &str)]) -> Option<u64> {
        given(machine, &|path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_least_of_machine_and_cgroups_is_what_there_is() {
        let has = Some(8_192);
        assert_eq!(given_by(None, &[]), None);
        assert_eq!(given_by(has, &[]), has);
        let group = ("/proc/self/cgroup", "0::/a/b\n");
        let inner = ("/sys/fs/cgroup/a/b/memory.max", "max\n");
        let outer = ("/sys/fs/cgroup/a/memory.max", "4096\n");
        assert_eq!(given_by(has, &[group, inner]), has);
        assert_eq!(given_by(has, &[group, inner, outer]), Some(4_096));
        let old = ("/proc/self/cgroup", "5:cpu:/x\n4:rdma,memory:/c\n");
        let limit = ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "512\n");
        assert_eq!(given_by(has, &[old, limit]), Some(512));
        assert!(machine().is_some() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn pages_of_files_do_not_count() {
        assert_eq!(anonymous("900 30 10 1 0 5 0\n"), Some(20 * PAGE_BYTES));
        assert_eq!(anonymous("900 30"), None);
        assert!(used() > Some(1 << 20) || !cfg!(target_os = "linux"));
    }
}
