//! Which vector instructions a loop is compiled for; asked of the processor once, at run time.

/// Vector instructions, from those that every processor has to the widest. A kernel that takes this gives the same bits
/// with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What the target always has.
    Portable,
    /// AVX2 with FMA: four f64 at once.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: eight f64 at once, comparisons into masks.
    Avx512,
}

impl Instructions {
    /// The widest that this processor knows.
    pub fn widest() -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            let narrow = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if narrow && wide {
                return Instructions::Avx512;
            }
            if narrow {
                return Instructions::Avx2;
            }
        }
        Instructions::Portable
    }

    /// Whether this processor multiplies pairs of bf16 numbers in 512 bits (AVX512-BF16).
    pub fn multiply_bf16() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            Instructions::widest() == Instructions::Avx512 && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }

    /// All of this processor and program that the bits of the kernels depend on, in words.
    pub fn fingerprint() -> String {
        let pairs = if Instructions::multiply_bf16() { "with bf16" } else { "without bf16" };
        format!("{:?} {pairs}, numbers {}", Instructions::widest(), super::NUMBERS_VERSION)
    }

    /// These, or the widest that this processor knows where it does not know these.
    pub fn available(self) -> Instructions {
        self.min(Instructions::widest())
    }
}

/// Compiles a loop for every kind of [`Instructions`] under one name that takes the kind as its last argument. The body
/// is a function with a constant parameter, the kind as a number.
macro_rules! for_each_instructions {
    ($(#[$meta:meta])* $access:vis fn $name:ident($argument:ident: $type:ty) $(-> $result:ty)? = $body:ident;) => {
        $(#[$meta])*
        $access fn $name($argument: $type, instructions: $crate::kernels::instructions::Instructions) $(-> $result)? {
            use $crate::kernels::instructions::Instructions;
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn avx512($argument: $type) $(-> $result)? {
                    $body::<{ Instructions::Avx512 as u8 }>($argument)
                }
                #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn avx2($argument: $type) $(-> $result)? {
                    $body::<{ Instructions::Avx2 as u8 }>($argument)
                }
                let instructions = instructions.available();
                if instructions == Instructions::Avx512 {
                    #[expect(unsafe_code, reason = "the processor was asked for these instructions above")]
                    // SAFETY: `available` gives this only where every enabled feature was detected.
                    return unsafe { avx512($argument) };
                }
                if instructions == Instructions::Avx2 {
                    #[expect(unsafe_code, reason = "the processor was asked for these instructions above")]
                    // SAFETY: as above.
                    return unsafe { avx2($argument) };
                }
            }
            let _ = instructions;
            $body::<{ Instructions::Portable as u8 }>($argument)
        }
    };
}
pub(crate) use for_each_instructions;
