//! Calls of the kernel's functions that keep a program on its CPU, put into the object before it is loaded.
use probe_common::preempt::{DISABLE, ENABLE};

/// `BPF_JMP | BPF_CALL`, `include/uapi/linux/bpf.h`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as source register of a call: the number is a BTF id of the kernel.
const KFUNC: u8 = 2 << 4;
/// `r0 = 0`: what a call leaves in it is not used.
const NOTHING: [u8; 8] = [0xb7, 0, 0, 0, 0, 0, 0, 0];

/// BTF ids of `bpf_preempt_disable()` and `bpf_preempt_enable()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreemptCalls {
    /// `bpf_preempt_disable()`
    pub disable: u32,
    /// `bpf_preempt_enable()`
    pub enable: u32,
}

/// The object with those calls, or without any.
pub(super) fn patch(object: &[u8], calls: Option<PreemptCalls>) -> Vec<u8> {
    let mut patched = object.to_vec();
    // Sections with code are aligned to instructions.
    for instruction in patched.chunks_exact_mut(8) {
        if instruction[..4] != [CALL, 0, 0, 0] {
            continue;
        }
        let number = i32::from_le_bytes([instruction[4], instruction[5], instruction[6], instruction[7]]);
        let id = match number {
            DISABLE => calls.map(|calls| calls.disable),
            ENABLE => calls.map(|calls| calls.enable),
            _ => continue,
        };
        match id {
            Some(id) => {
                instruction[1] = KFUNC;
                instruction[4..].copy_from_slice(&id.to_le_bytes());
            }
            None => instruction.copy_from_slice(&NOTHING),
        }
    }
    patched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(source: u8, number: u32) -> Vec<u8> {
        [&[CALL, source, 0, 0][..], &number.to_le_bytes()].concat()
    }

    #[test]
    fn only_the_calls_that_stand_for_others_change() {
        let helper = call(0, 14);
        let object =
            [helper.clone(), call(0, DISABLE as u32), helper.clone(), call(0, ENABLE as u32)].concat();
        let ids = PreemptCalls { disable: 70_001, enable: 70_002 };
        let with = [helper.clone(), call(KFUNC, 70_001), helper.clone(), call(KFUNC, 70_002)].concat();
        assert_eq!(patch(&object, Some(ids)), with);
        assert_eq!(
            patch(&object, None),
            [helper.clone(), NOTHING.to_vec(), helper, NOTHING.to_vec()].concat()
        );
    }

    /// What is loaded has both, or preemption would be left off or on.
    #[test]
    fn the_object_calls_both() {
        static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe.bpf.o"));
        let object = OBJECT;
        if object.is_empty() {
            return;
        }
        let count = |number: i32| {
            object.chunks_exact(8).filter(|bytes| *bytes == call(0, number as u32).as_slice()).count()
        };
        assert!(count(DISABLE) > 10);
        assert_eq!(count(DISABLE), count(ENABLE));
    }
}
