//! How much memory a thread holds at the most while it does something.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// What the thread holds by now, in bytes. What one thread gives to another makes it negative there.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that it held since that was last looked at.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The most memory, in bytes, that `work` held at once beyond what there was before it.
pub(crate) fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    usize::try_from(MOST.get() - before).unwrap_or(0)
}

/// The C library's allocator, and a count beside it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that ends may allocate when its count is gone.
    let _gone = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        MOST.try_with(|most| most.set(most.get().max(held.get())))
    });
}

/// A size as what can be subtracted: no allocation is larger than that.
const fn signed(size: usize) -> isize {
    size.cast_signed()
}

// SAFETY: all is left to the system's allocator; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: what is asked of this is asked of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: likewise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: likewise; the memory is the system's.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: likewise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::peak;
    use std::hint::black_box;

    #[test]
    fn what_is_held_at_once_counts_and_what_was_given_back_does_not() {
        let kept = black_box(vec![0_u8; 1 << 20]);
        let one_after_the_other = peak(|| {
            for _ in 0..100 {
                drop(black_box(vec![0_u8; 1000]));
            }
        });
        assert_eq!(one_after_the_other, 1000);
        let grown = peak(|| {
            let mut grown = black_box(vec![0_u8; 1000]);
            grown.reserve_exact(9000);
            drop(black_box(grown));
            drop(kept);
        });
        assert_eq!(grown, 10_000);
    }
}
