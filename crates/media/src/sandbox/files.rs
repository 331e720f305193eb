//! The Landlock rules of a job: which files it can open at all.

use std::error::Error;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};

use super::Job;

/// The newest set of rights that this was written and tested for. Older kernels enforce fewer;
/// what they lack of it (truncation, TCP, signals) the system call filter denies as well.
const RIGHTS: ABI = ABI::V7;

/// Where the dynamic loader finds libraries. Those that do not exist are left out.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];

/// A ruleset that forbids everything it knows of: files, TCP, signals and abstract sockets.
pub(super) fn nothing_allowed() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .scope(Scope::from_all(RIGHTS))?
        .create()
}

/// The rules for `job`: its program and libraries, its input, its scratch folder.
pub(super) fn rules_for(job: &Job) -> Result<RulesetCreated, Box<dyn Error>> {
    let read_file = BitFlags::from(AccessFs::ReadFile);
    let read = read_file | AccessFs::ReadDir;
    let write = make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
    });

    let mut rules = nothing_allowed()?;
    rules = allow(rules, &job.program, read_file | AccessFs::Execute)?;
    for library in LIBRARIES
        .map(Path::new)
        .into_iter()
        .filter(|path| path.exists())
    {
        let execute = if library.is_dir() {
            AccessFs::Execute.into()
        } else {
            BitFlags::EMPTY
        };
        rules = allow(rules, library, read | execute)?;
    }
    for input in &job.readable {
        rules = allow(rules, input, read)?;
    }
    if let Some(scratch) = &job.scratch {
        rules = allow(rules, scratch, read | write)?;
    }
    Ok(rules)
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn Error>> {
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(RIGHTS)
    };
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?)
}

/// The kernel's Landlock version, if it has one switched on.
pub(super) fn kernel_abi(status: LandlockStatus) -> Option<u32> {
    match status {
        LandlockStatus::Available { effective_abi, .. } => Some(effective_abi as u32),
        _ => None,
    }
}
