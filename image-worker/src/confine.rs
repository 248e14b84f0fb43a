//! What a worker gives up before it reads a byte.

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::io;
use sync_protocol::fault::planted;

/// Memory that the process may map: its own program, the original, its pixels.
pub(super) const MEMORY_BYTES_MAX: u64 = 384 * 1024 * 1024;
/// Seconds of processor.
pub(super) const CPU_S_MAX: u64 = 5;
/// Open files; three are in use.
pub(super) const FILES_MAX: u64 = 16;
/// How far others on the machine go before it.
const NICENESS: i32 = 10;

/// Sets the limits and takes the system calls away; gives whether the kernel took them.
pub(super) fn confine() -> io::Result<bool> {
    if !planted("worker_without_limits") {
        limit()?;
    }
    // Where it is not allowed to be humble it works all the same.
    let _niceness = nice(NICENESS);
    Ok(!planted("worker_keeps_its_calls") && calls::take_away())
}

fn limit() -> io::Result<()> {
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, CPU_S_MAX),
        (Resource::Nofile, FILES_MAX),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls {
    //! Which system calls remain: memory, the two pipes, the end.

    use libc::c_long;
    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule,
        apply_filter,
    };
    use std::collections::BTreeMap;

    /// Calls that do nothing to anybody else.
    const ALLOWED: [c_long; 15] = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];

    /// Applies the filter; what it does not allow fails with `EPERM`. False where there is no such filter.
    pub(super) fn take_away() -> bool {
        program().is_ok_and(|program| apply_filter(&program).is_ok())
    }

    fn program() -> Result<BpfProgram, BackendError> {
        let when = |conditions: &[(u8, seccompiler::SeccompCmpOp, u64)]| {
            let conditions = conditions.iter().map(|(argument, compare, value)| {
                SeccompCondition::new(*argument, Dword, compare.clone(), *value)
            });
            SeccompRule::new(conditions.collect::<Result<_, _>>()?)
        };
        let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
        let anonymous = u64::from(libc::MAP_ANONYMOUS.unsigned_abs());
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
        rules.insert(libc::SYS_read, vec![when(&[(0, Eq, 0)])?]);
        rules.insert(libc::SYS_write, vec![when(&[(0, Eq, 1)])?, when(&[(0, Eq, 2)])?]);
        rules.insert(libc::SYS_mprotect, vec![when(&[(2, MaskedEq(executable), 0)])?]);
        rules.insert(
            libc::SYS_mmap,
            vec![when(&[(2, MaskedEq(executable), 0), (3, MaskedEq(anonymous), anonymous)])?],
        );
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?;
        filter.try_into()
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod calls {
    /// There is no filter for this machine.
    pub(super) const fn take_away() -> bool {
        false
    }
}
