//! The system calls that no job needs, as seccomp programs.
//!
//! A deny list, not an allow list: what decoders and ffmpeg call changes with every libc and
//! codec version, and a wrong guess there fails in the field on a good photo. So this list names
//! the ways out: to the network, to other processes, to the kernel's rarely used corners, and to
//! what Landlock does not rule (modes, owners, times, kernel-wide shared memory). A denied call
//! answers `EPERM`, which programs handle, and not death, which would look like a crash.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare,
    SeccompCondition, SeccompFilter, SeccompRule, sock_filter,
};

/// Denied whatever their arguments are.
const DENIED: &[c_long] = &[
    // Network, and local sockets too: a socket of a daemon of the machine is a way out.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Does file and network operations that no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Other processes of the same user: reading, signalling, renicing them.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Leaving the group in which it is killed.
    libc::SYS_setpgid,
    libc::SYS_setsid,
    // Another program by descriptor; exec itself is ruled by Landlock.
    libc::SYS_execveat,
    // Memory that no address space limit counts, or that outlives the process.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // What Landlock leaves open on files outside its rules.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_truncate,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    // The machine, and parts of the kernel with a history of holes.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[];

/// The main filter.
pub(super) fn deny_list() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = DENIED
        .iter()
        .chain(DENIED_HERE)
        .map(|call| (*call, Vec::new()))
        .collect();

    let argument = |index, compare, value: u64| {
        SeccompRule::new(vec![SeccompCondition::new(
            index,
            Length::Dword,
            compare,
            value,
        )?])
    };
    // A new process rather than a thread.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(
        libc::SYS_clone,
        vec![argument(0, Compare::MaskedEq(thread), 0)?],
    );
    // Outliving its parent.
    let pdeathsig = libc::PR_SET_PDEATHSIG as u64;
    rules.insert(libc::SYS_prctl, vec![argument(0, Compare::Eq, pdeathsig)?]);
    // The limits of another process.
    rules.insert(libc::SYS_prlimit64, vec![argument(0, Compare::Ne, 0)?]);

    let arch = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?.try_into()
}

/// The second filter, for what the first cannot express. Its [`OWN_PID`] instruction is set in
/// the child, which alone knows its number.
///
/// - `clone3` passes its flags by pointer, which no filter can follow: it "does not exist", and
///   libc falls back to `clone`.
/// - `tgkill` is how a thread aborts; it may aim at the own process only.
/// - The x32 calls of x86-64 are other numbers for the same calls: none is legitimate here.
pub(super) fn guard() -> BpfProgram {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const KILL: u32 = 0x8000_0000;
    const ERRNO: u32 = 0x0005_0000;
    const X32: u32 = 0x4000_0000;
    // Offsets into the kernel's `struct seccomp_data`: the call's number, its first argument.
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") {
        16
    } else {
        20
    };

    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD, NUMBER, 0, 0),
        step(IF_AT_LEAST, X32, 5, 0),
        step(IF_EQUAL, libc::SYS_clone3 as u32, 5, 0),
        step(IF_EQUAL, libc::SYS_tgkill as u32, 0, 2),
        step(LOAD, FIRST_ARGUMENT, 0, 0),
        step(IF_EQUAL, 0, 0, 3),
        step(RETURN, ALLOW, 0, 0),
        step(RETURN, KILL, 0, 0),
        step(RETURN, ERRNO | libc::ENOSYS as u32, 0, 0),
        step(RETURN, ERRNO | libc::EPERM as u32, 0, 0),
    ]
}

/// Index of the instruction of [`guard`] whose operand is the process' own number.
pub(super) const OWN_PID: usize = 5;
