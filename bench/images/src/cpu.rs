//! CPU time, the metric that holds on a busy machine: user and system seconds of `getrusage`.

/// Seconds that this process has used so far.
pub fn own() -> f64 {
    usage(libc::RUSAGE_SELF)
}

/// Seconds that children which have ended used.
pub fn children() -> f64 {
    usage(libc::RUSAGE_CHILDREN)
}

/// What `work` gives, and the seconds that it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = own();
    let result = work();
    (result, own() - before)
}

fn usage(who: libc::c_int) -> f64 {
    // SAFETY: zero is a valid `rusage`, which the call then fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(who, &mut usage), 0);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
