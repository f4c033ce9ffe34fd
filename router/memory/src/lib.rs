//! The allocator, and what it must be told.
//!
//! mimalloc gives pages back while it is asked for memory: a thread that had ten thousand streams and now waits for the
//! next request keeps what they took. So each thread that serves says from time to time that it is time.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys as mi;

/// mimalloc. Almost all that Rust asks for is aligned like what C asks for, and asked for in the same way: the function for
/// other alignments takes three times the instructions, and more memory for what is larger than a kilobyte.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

/// Returns whether blocks of a size are aligned so anyway: all are to a word, and those of more than a word to two
/// (`MI_MAX_ALIGN_SIZE`).
const fn is_aligned_anyway(size: usize, align: usize) -> bool {
    const WORD: usize = size_of::<usize>();
    align <= WORD || (align <= 2 * WORD && size > WORD)
}

#[expect(
    unsafe_code,
    reason = "blocks come from mimalloc and go back there, with at least the size and the alignment that the layout \
              asks for; whoever calls keeps the rest of the contract"
)]
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = if is_aligned_anyway(size, align) {
            unsafe { mi::mi_malloc(size) }
        } else {
            unsafe { mi::mi_malloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = if is_aligned_anyway(size, align) {
            unsafe { mi::mi_zalloc(size) }
        } else {
            unsafe { mi::mi_zalloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        unsafe { mi::mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let block: *mut c_void = block.cast();
        // A block that stays where it is stays aligned as it was.
        let block = if is_aligned_anyway(size, layout.align()) {
            unsafe { mi::mi_realloc(block, size) }
        } else {
            unsafe { mi::mi_realloc_aligned(block, size, layout.align()) }
        };
        block.cast()
    }
}

/// Gives pages back to the system that the calling thread does not use any more; those that became free a moment ago
/// stay for a while. Takes microseconds for each megabyte that the thread has.
pub fn give_back() {
    #[expect(
        unsafe_code,
        reason = "mi_collect has no precondition: it may be called on any thread at any time, also on one that never \
                  allocated, and takes nothing away that is in use"
    )]
    unsafe {
        mi::mi_collect(false);
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};
    use std::time::{Duration, Instant};

    use super::Allocator;

    #[global_allocator]
    static ALLOCATOR: super::Allocator = super::Allocator;

    #[test]
    #[expect(unsafe_code, reason = "the allocator's own functions, called with layouts that are not empty")]
    fn blocks_are_aligned_and_keep_what_is_in_them() {
        let is_aligned = |block: *mut u8, layout: Layout| {
            assert!(
                !block.is_null() && block.addr().is_multiple_of(layout.align()),
                "{layout:?} at {block:?}"
            );
        };
        let sizes =
            (1..300).chain([511, 512, 513, 1_000, 1_024, 1_025, 4_095, 4_096, 9_000, 70_000, 3 << 20]);
        for (size, align) in
            sizes.flat_map(|size| [1, 2, 4, 8, 16, 32, 64, 128, 4_096].map(|align| (size, align)))
        {
            let layout = Layout::from_size_align(size, align).unwrap();
            // Several, for the first of a page may be aligned by chance.
            let blocks: Vec<*mut u8> = (0..5).map(|_| unsafe { Allocator.alloc(layout) }).collect();
            for block in &blocks {
                is_aligned(*block, layout);
                unsafe { block.write_bytes(0xa5, size) };
            }
            for (block, other) in blocks.into_iter().zip([1, size / 2 + 1, size, size + 1, 2 * size + 5]) {
                let kept = size.min(other);
                let moved = unsafe { Allocator.realloc(block, layout, other) };
                let layout = Layout::from_size_align(other, align).unwrap();
                is_aligned(moved, layout);
                let bytes = unsafe { std::slice::from_raw_parts(moved, kept) };
                assert!(bytes.iter().all(|byte| *byte == 0xa5), "{layout:?}");
                unsafe { Allocator.dealloc(moved, layout) };
            }
            let zeroed = unsafe { Allocator.alloc_zeroed(layout) };
            is_aligned(zeroed, layout);
            let bytes = unsafe { std::slice::from_raw_parts(zeroed, size) };
            assert!(bytes.iter().all(|byte| *byte == 0), "{layout:?}");
            unsafe { Allocator.dealloc(zeroed, layout) };
        }
    }

    /// Returns the resident memory of this process in kilobytes.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_a_peak_left_behind_goes_when_it_is_told_and_not_before() {
        let kept: Vec<_> = (0..10_000_u32).map(|number| vec![number; 9]).collect();
        let before = resident();
        let peak: Vec<_> = (0..100_000).map(|_| vec![7_u8; 700]).collect();
        let at_peak = resident() - before;
        assert!(at_peak > 60_000, "{at_peak} KB");
        drop(peak);
        std::thread::sleep(Duration::from_secs(2));
        let waited = resident().saturating_sub(before);
        assert!(waited > at_peak / 2, "nobody needs to tell: {waited} of {at_peak} KB are left");
        let since = Instant::now();
        while resident().saturating_sub(before) > at_peak / 5 {
            assert!(since.elapsed() < Duration::from_secs(20), "{} KB more than before", resident() - before);
            super::give_back();
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(kept.iter().zip(0..).all(|(kept, number)| *kept == [number; 9]));
    }
}
