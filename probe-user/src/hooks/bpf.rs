//! The `bpf` system calls that our loader does not make: those for fentry programs on the functions of a module.
//!
//! Alone makes such calls directly. The structs mirror the parts of `union bpf_attr` in `include/uapi/linux/bpf.h`; the
//! kernel takes the fields behind them as zero.
use std::{
    ffi::CStr,
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::{
    Function,
    generated::{bpf_attach_type, bpf_cmd, bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_type},
};
use nix::libc;
use probe_record::why::without_number;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Most BTF objects that are looked at: the kernel, its modules, and those of loaded programs.
const MOST_OBJECTS: usize = 1 << 16;
/// `MODULE_NAME_LEN` is 56 on 64-bit kernels.
const NAME: usize = 64;
/// Sizes of the buffer for the verifier's log, in bytes; the kernel takes no larger one.
const LOGS: [usize; 3] = [64 << 10, 1 << 20, 16 << 20];
const FUNCTION_INFO: usize = size_of::<bpf_func_info>();
const LINE_INFO: usize = size_of::<bpf_line_info>();
/// How often a load that a signal interrupted is tried.
const TRIES: usize = 5;

/// A program or types that the kernel did not take.
#[derive(Debug)]
pub(super) struct Refused {
    /// What the kernel answered.
    pub(super) error: io::Error,
    /// The verifier's log; empty if it said nothing.
    pub(super) log: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = without_number(&self.error.to_string());
        match self.log.trim() {
            "" => error.fmt(f),
            log => write!(f, "{}: {log}", error),
        }
    }
}

/// Entry or return of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Entry,
    Return,
}

/// The function on which a program is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) side: Side,
    /// The BTF object of its module; `None` for a function of the kernel proper.
    pub(super) module: Option<BorrowedFd<'a>>,
    /// The id of its type there.
    pub(super) function: u32,
}

/// What runs.
#[derive(Default)]
pub(super) struct Code {
    pub(super) instructions: Vec<bpf_insn>,
    /// `struct bpf_func_info`s: the types of its functions, in the BTF of the program.
    pub(super) functions: Vec<u8>,
    /// `struct bpf_line_info`s.
    pub(super) lines: Vec<u8>,
}

impl From<Function> for Code {
    fn from(function: Function) -> Self {
        let (functions, lines) = (function.func_info.func_info_bytes(), function.line_info.line_info_bytes());
        Self { instructions: function.instructions, functions, lines }
    }
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LoadTypes {
    types: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    reserved: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LoadProgram {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_kind: u32,
    types: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_function: u32,
    attach_module: u32,
    relocation_count: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct OpenRawTracepoint {
    name: u64,
    program: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct AskInfo {
    object: u32,
    length: u32,
    info: u64,
}

/// `struct bpf_btf_info`
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct TypesInfo {
    types: u64,
    size: u32,
    id: u32,
    name: u64,
    name_size: u32,
    of_kernel: u32,
}

/// The BTF object of a module of the kernel; the youngest, if an unloaded one of that name is still held.
///
/// # Errors
/// A sentence: no right to look, or there is none.
pub(super) fn types_of_module(module: &str) -> Result<OwnedFd, String> {
    let mut found = None;
    let mut ids = ById { id: 0, next: 0, flags: 0 };
    for _ in 0..MOST_OBJECTS {
        // SAFETY: the command writes `next` of its attributes, and nothing else.
        match unsafe { call(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut ids) } {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
            Err(error) => return Err(format!("the BTF objects of the kernel cannot be listed: {error}")),
        }
        ids.id = ids.next;
        let mut wanted = ById { id: ids.id, next: 0, flags: 0 };
        // SAFETY: the command reads its attributes only, and returns a descriptor that is ours.
        let Ok(object) = (unsafe { new_descriptor(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut wanted) }) else {
            // Gone meanwhile.
            continue;
        };
        if name_of(object.as_fd()).is_some_and(|name| name == module.as_bytes()) {
            found = Some(object);
        }
    }
    found.ok_or_else(|| format!("the kernel has no BTF object of the module {module}"))
}

/// The name of a BTF object of the kernel or a module; `None` for that of a program.
fn name_of(object: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut name = [0_u8; NAME];
    let mut info = TypesInfo {
        types: 0,
        size: 0,
        id: 0,
        name: name.as_mut_ptr() as u64,
        name_size: NAME as u32,
        of_kernel: 0,
    };
    let mut ask = AskInfo {
        object: number(object),
        length: size_of::<TypesInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `length` bytes of `info` and `name_size` bytes of `name`; both outlive the call.
    unsafe { call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut ask) }.ok()?;
    let end = name.iter().position(|byte| *byte == 0)?;
    (info.of_kernel != 0).then(|| name[..end].to_vec())
}

/// Loads the BTF of programs.
pub(super) fn load_types(types: &[u8]) -> Result<OwnedFd, Refused> {
    with_log(|log, log_level| {
        let mut wanted = LoadTypes {
            types: types.as_ptr() as u64,
            log: address(log),
            size: length(types.len())?,
            log_size: length(log.len())?,
            log_level,
            reserved: 0,
        };
        // SAFETY: types and log are of the sizes given and outlive the call, which returns a descriptor that is ours.
        unsafe { new_descriptor(bpf_cmd::BPF_BTF_LOAD, &mut wanted) }
    })
}

/// Loads a program for a function. `types`: the BTF that its parts refer to, if it has any.
pub(super) fn load_program(
    name: &str,
    license: &CStr,
    code: &Code,
    types: Option<BorrowedFd<'_>>,
    target: Target<'_>,
) -> Result<OwnedFd, Refused> {
    let attach_kind = match target.side {
        Side::Entry => bpf_attach_type::BPF_TRACE_FENTRY,
        Side::Return => bpf_attach_type::BPF_TRACE_FEXIT,
    };
    let mut short = [0; 16];
    // The last byte ends the name.
    for (to, from) in short.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    with_log(|log, log_level| {
        let mut wanted = LoadProgram {
            kind: bpf_prog_type::BPF_PROG_TYPE_TRACING as u32,
            instruction_count: length(code.instructions.len())?,
            instructions: code.instructions.as_ptr() as u64,
            license: license.as_ptr() as u64,
            log_level,
            log_size: length(log.len())?,
            log: address(log),
            kernel_version: 0,
            flags: 0,
            name: short,
            interface: 0,
            attach_kind: attach_kind as u32,
            types: types.map_or(0, number),
            function_info_size: length(FUNCTION_INFO)?,
            function_info: code.functions.as_ptr() as u64,
            function_info_count: length(code.functions.len() / FUNCTION_INFO)?,
            line_info_size: length(LINE_INFO)?,
            line_info: code.lines.as_ptr() as u64,
            line_info_count: length(code.lines.len() / LINE_INFO)?,
            attach_function: target.function,
            attach_module: target.module.map_or(0, number),
            relocation_count: 0,
        };
        let mut tries = TRIES;
        loop {
            // SAFETY: what the attributes point to is of the sizes given and outlives the call, which returns a descriptor
            // that is ours.
            let loaded = unsafe { new_descriptor(bpf_cmd::BPF_PROG_LOAD, &mut wanted) };
            tries -= 1;
            match loaded {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries > 0 => {}
                done => return done,
            }
        }
    })
}

/// Attaches a program to the function for which it was loaded; the link detaches it when it is closed.
pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut wanted = OpenRawTracepoint { name: 0, program: number(program), reserved: 0 };
    // SAFETY: the command reads its attributes only, and returns a descriptor that is ours.
    unsafe { new_descriptor(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut wanted) }
}

/// Loads without a log, which is faster; asks for one after a refusal. `load` gets the log's buffer and level.
fn with_log(mut load: impl FnMut(&mut [u8], u32) -> io::Result<OwnedFd>) -> Result<OwnedFd, Refused> {
    let mut error = match load(&mut [], 0) {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    let mut text = String::new();
    for size in LOGS {
        let mut log = vec![0; size];
        let again = load(&mut log, LOG_LEVEL);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        text = String::from_utf8_lossy(&log[..end]).into_owned();
        match again {
            Ok(loaded) => return Ok(loaded),
            Err(refused) if refused.raw_os_error() == Some(libc::ENOSPC) => {}
            Err(refused) => {
                error = refused;
                break;
            }
        }
    }
    Err(Refused { error, log: text })
}

/// `BPF_LOG_LEVEL1 | BPF_LOG_STATS` in `include/linux/bpf_verifier.h`: the failing path, and how much was looked at.
const LOG_LEVEL: u32 = 1 | 4;

/// The kernel wants no address for a log of no length.
fn address(log: &mut [u8]) -> u64 {
    if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 }
}

fn length(count: usize) -> io::Result<u32> {
    u32::try_from(count).map_err(io::Error::other)
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().unsigned_abs()
}

/// # Safety
/// As [`call`]; the command must return a new descriptor.
unsafe fn new_descriptor<A: IntoBytes + Immutable>(
    command: bpf_cmd,
    attributes: &mut A,
) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let descriptor = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel made it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// # Safety
/// The attributes must be those of the command, and point only to memory of the sizes that they give.
unsafe fn call<A: IntoBytes + Immutable>(command: bpf_cmd, attributes: &mut A) -> io::Result<i32> {
    // SAFETY: the caller's promise; the kernel reads and writes no more of the attributes than their size.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_int, std::ptr::from_mut(attributes), size_of::<A>())
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(answer).map_err(io::Error::other) }
}
