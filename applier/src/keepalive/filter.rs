//! Classic BPF, as socket filters speak it (`filter.txt` of the kernel's documentation).

use libc::sock_filter;

/// A byte, half word or word at an offset of the frame.
pub(super) const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
pub(super) const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
pub(super) const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
/// A half word at an offset behind a header, the length of which is in X.
pub(super) const LOAD_HALF_X: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_IND) as u16;
/// The length of the IPv4 header at an offset, into X.
pub(super) const LOAD_HEADER_X: u16 = (libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH) as u16;
/// Jumps by whether what was loaded equals a value, or has one of its bits.
pub(super) const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
pub(super) const SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
/// Accepts so many bytes of the frame.
pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// One instruction; jumps skip so many instructions.
pub(super) fn op(code: u16, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter {
        code,
        jt: if_true,
        jf: if_false,
        k: value,
    }
}

/// Runs a program as the kernel would; how many bytes it accepts.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], frame: &[u8]) -> u32 {
    let (mut a, mut x, mut at) = (0, 0, 0);
    loop {
        let op = &program[at];
        let k = op.k as usize;
        at += 1;
        let (start, width) = match op.code {
            LOAD_BYTE | LOAD_HEADER_X => (k, 1),
            LOAD_HALF => (k, 2),
            LOAD_HALF_X => (k + x, 2),
            LOAD_WORD => (k, 4),
            _ => (0, 0),
        };
        let Some(bytes) = frame.get(start..start + width) else {
            return 0;
        };
        let loaded = bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u32::from(*byte));
        match op.code {
            LOAD_HEADER_X => x = 4 * (loaded as usize & 15),
            EQUAL => at += usize::from(if a == op.k { op.jt } else { op.jf }),
            SET => at += usize::from(if a & op.k != 0 { op.jt } else { op.jf }),
            RETURN => return op.k,
            _ if width > 0 => a = loaded,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}
