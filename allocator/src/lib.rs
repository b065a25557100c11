//! The process's allocator, mimalloc: its plain entries where the aligned ones are not needed, and a thread's way to
//! give back what it no longer uses. The only `unsafe` of the project: the crate `mimalloc` has neither.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::io::Write;

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

/// mimalloc, for `#[global_allocator]`.
pub struct Allocator;

/// Gives the system back what the calling thread has freed, or what was freed for it: mimalloc does so by and by while
/// a thread allocates, and not at all while it has nothing to do. Takes some ten microseconds for each MiB.
pub fn give_back() {
    // SAFETY: it takes no pointer, and looks at the calling thread's own heap, which mimalloc makes where there is none.
    unsafe { mi_collect(true) }
}

/// Does every block of this size lie at such an alignment anyway? mimalloc's blocks of 16 bytes and more are aligned to
/// 16 (`MI_MAX_ALIGN_SIZE`), as C asks of `malloc`, smaller ones to 8: what is asked for is a power of two, so that one
/// that is no larger than the size is met by either.
const fn plain(layout: Layout) -> bool {
    layout.align() <= MOST && layout.align() <= layout.size()
}

/// A block of this layout, as `ask` brings it. Where there is no memory for a small one the program ends here, as its
/// caller would end it: then the compiler knows that there is one, and builds a value in it. Otherwise it keeps the value
/// elsewhere until it has asked, in case it must be dropped, and copies it: of Pingora's future that is 13 KB a request.
/// Those who can do without a block ask for large ones, and are told.
#[inline]
fn there(layout: Layout, ask: impl FnOnce() -> *mut c_void) -> *mut u8 {
    if layout.size() > SMALL {
        return ask().cast();
    }
    let block = ask();
    if block.is_null() {
        end();
    }
    block.cast()
}

/// Says why, without asking for memory, and aborts. Of C's kind, as nothing unwinds through such a function.
#[cold]
extern "C" fn end() -> ! {
    // Where nobody can be told, it ends all the same.
    let _ = std::io::stderr().write_all(b"there is no memory left\n");
    std::process::abort()
}

// SAFETY: each entry of mimalloc's gives a block of at least that size at that alignment (`plain` tells where it does
// so by itself), or null, and none unwinds. Blocks of both kinds of entries are of one heap: `mi_free` and `mi_realloc`
// take either.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        there(layout, || match plain(layout) {
            // SAFETY: any size may be asked for.
            true => unsafe { mi_malloc(layout.size()) },
            // SAFETY: the alignment is a power of two, as that of every layout.
            false => unsafe { mi_malloc_aligned(layout.size(), layout.align()) },
        })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        there(layout, || match plain(layout) {
            // SAFETY: any size may be asked for.
            true => unsafe { mi_zalloc(layout.size()) },
            // SAFETY: the alignment is a power of two, as that of every layout.
            false => unsafe { mi_zalloc_aligned(layout.size(), layout.align()) },
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's word: the block is of this allocator, and not free yet.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The new size decides: a block that grows or shrinks may come to lie elsewhere.
        match layout.align() <= MOST && layout.align() <= size {
            // SAFETY: the caller's word: the block is of this allocator, and not free yet.
            true => unsafe { mi_realloc(block.cast(), size) }.cast(),
            // SAFETY: as above, and the alignment is a power of two.
            false => unsafe { mi_realloc_aligned(block.cast(), size, layout.align()) }.cast(),
        }
    }
}

/// The alignment that mimalloc's blocks have without being asked.
const MOST: usize = 16;
/// Bytes of a block that whoever asks for it can't do without, as Rust's collections and boxes don't.
const SMALL: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    /// Every size up to a few pages, and some around the borders of mimalloc's own classes.
    fn sizes() -> impl Iterator<Item = usize> {
        (1..=5_000)
            .chain((13..=23).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]))
    }

    #[test]
    fn every_size_lies_at_every_alignment_with_its_bytes_its_own() {
        for align in (0..=13).map(|power| 1 << power) {
            for size in sizes() {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the layout has a size, and the block is freed by the same.
                let block = unsafe { ALLOCATOR.alloc(layout) };
                assert!(
                    !block.is_null() && block.align_offset(align) == 0,
                    "{layout:?}"
                );
                // SAFETY: the block has that many bytes.
                unsafe { block.write_bytes(0xa5, size) };
                // SAFETY: its own layout.
                unsafe { ALLOCATOR.dealloc(block, layout) };
                // SAFETY: as above; most likely it is the block that was written to.
                let block = unsafe { ALLOCATOR.alloc_zeroed(layout) };
                assert!(
                    !block.is_null() && block.align_offset(align) == 0,
                    "{layout:?}"
                );
                // SAFETY: the block has that many bytes, all of them set.
                let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                assert!(bytes.iter().all(|byte| *byte == 0), "{layout:?}");
                // SAFETY: its own layout.
                unsafe { ALLOCATOR.dealloc(block, layout) };
            }
        }
    }

    #[test]
    fn what_grows_and_shrinks_keeps_its_bytes_and_its_alignment() {
        for align in [1, 8, 16, 32, 4_096] {
            for (from, to) in [
                (1, 7),
                (8, 17),
                (24, 8),
                (100, 3),
                (1_000, 5_000),
                (70_000, 9),
                (5, 1 << 20),
            ] {
                let layout = Layout::from_size_align(from, align).unwrap();
                // SAFETY: the layout has a size.
                let block = unsafe { ALLOCATOR.alloc(layout) };
                // SAFETY: the block has that many bytes.
                unsafe { block.write_bytes(0x5a, from) };
                // SAFETY: the block has this layout, and the new size is none that overflows.
                let block = unsafe { ALLOCATOR.realloc(block, layout, to) };
                assert!(
                    !block.is_null() && block.align_offset(align) == 0,
                    "{layout:?} {to}"
                );
                // SAFETY: so many bytes were kept.
                let kept = unsafe { std::slice::from_raw_parts(block, from.min(to)) };
                assert!(kept.iter().all(|byte| *byte == 0x5a), "{layout:?} {to}");
                let layout = Layout::from_size_align(to, align).unwrap();
                // SAFETY: the layout that it has by now.
                unsafe { ALLOCATOR.dealloc(block, layout) };
            }
        }
    }

    #[test]
    fn whoever_asks_for_too_much_at_once_is_told() {
        assert!(Vec::<u8>::new().try_reserve(1 << 50).is_err());
        let mut small = vec![1_u8];
        assert!(small.try_reserve(1 << 50).is_err());
        assert_eq!(small, [1]);
    }

    /// Run by the next one, which bounds its memory.
    #[test]
    #[ignore = "it ends its process"]
    fn take_all() {
        let mut all: Vec<Box<[u64]>> = Vec::with_capacity(1 << 20);
        loop {
            all.push(vec![1; 1_000].into());
        }
    }

    #[test]
    fn a_program_without_memory_ends_and_says_why() {
        let program = std::env::current_exe().unwrap();
        let command = r#"ulimit -c 0; ulimit -v 600000; exec "$0" --exact tests::take_all --ignored --nocapture"#;
        let output = std::process::Command::new("sh")
            .args(["-c", command, program.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("there is no memory left"), "{said}");
    }

    #[test]
    fn what_is_given_back_is_the_systems() {
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
        };
        let blocks: Vec<_> = (0..100_000).map(|_| vec![1_u8; 1_000]).collect();
        let held = resident();
        drop(blocks);
        give_back();
        assert!(resident() + (80 << 20) < held, "{held} {}", resident());
    }
}
