//! Memory that was freed, and that the C library's allocator still holds for what comes next: to the
//! system it counts as the process's.

/// Has the allocator give back to the system whatever pages it holds that nothing lies in any more.
/// It takes milliseconds, for which others that allocate wait; what comes next takes its pages anew.
pub fn give_back_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: this is how the C library declares it (malloc_trim(3)); it may be called at any time
        // by any thread.
        #[expect(unsafe_code, reason = "the C library is asked")]
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn what_was_freed_in_small_pieces_is_no_longer_the_process_s() {
        const PAGE: usize = 4_096;
        let resident = || {
            let told = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
            let pages = told.split(' ').nth(1).expect("there are several");
            pages.parse::<usize>().expect("a number") * PAGE
        };
        let mut pieces: Vec<Box<[u8]>> = (0..400_000).map(|_| vec![1; 100].into()).collect();
        // The allocator would give back the end of its memory by itself, not what lies below.
        let last = pieces.pop();
        drop(pieces);
        let before = resident();
        super::give_back_freed();
        let after = resident();
        drop(last);
        assert!(after + (30 << 20) < before, "{before} {after}");
    }
}
