//! How much memory each thread of this program asks for.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The bytes that this thread has asked for since it began, those that were given back included.
pub(crate) fn asked() -> u64 {
    ASKED.with(Cell::get)
}

/// The C library's allocator, and a count beside it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize) {
    // A thread that ends may allocate when its count is gone.
    let _gone = ASKED.try_with(|asked| asked.set(asked.get() + bytes as u64));
}

// SAFETY: all is left to the system's allocator; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: what is asked of this is asked of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: likewise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: likewise; the memory is the system's.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: likewise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_asks_for_is_counted() {
        let before = asked();
        let boxed = std::hint::black_box(Box::new([0_u8; 1000]));
        assert_eq!(asked() - before, 1000);
        drop(boxed);
        let others = std::thread::spawn(|| drop(std::hint::black_box(vec![0_u8; 1 << 20])));
        others.join().unwrap();
        assert!(asked() - before < 1 << 20);
    }
}
