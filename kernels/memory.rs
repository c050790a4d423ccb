//! How the C library's allocator treats the large, short-lived tensors of a training step.

/// Lets the allocator keep freed memory for the next step instead of giving it back to the system and taking it again,
/// page by page: on windows of 60 bars that took almost half of a Transformer's step. Changes no result. The process may
/// keep up to 256 MiB a thread that it could have given back. Only for the GNU C library; elsewhere it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // Names and numbers of malloc.h; the largest threshold that a 64-bit system accepts is 32 MiB.
        const TRIM_THRESHOLD: i32 = -1;
        const TOP_PAD: i32 = -2;
        const MMAP_THRESHOLD: i32 = -3;
        #[expect(
            unsafe_code,
            reason = "mallopt is a plain setter of the C library; it has no Rust door here"
        )]
        // SAFETY: the signature is that of malloc.h, and the function may be called by any thread at any time.
        unsafe extern "C" {
            safe fn mallopt(parameter: i32, value: i32) -> i32;
        }
        ONCE.call_once(|| {
            // A value that is refused leaves the allocator as it was, which is slower but right.
            let _ = mallopt(MMAP_THRESHOLD, 32 << 20);
            let _ = mallopt(TRIM_THRESHOLD, 256 << 20);
            let _ = mallopt(TOP_PAD, 32 << 20);
        });
    }
}
