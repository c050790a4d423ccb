//! Sweeps: one experiment becomes hundreds of trials, chosen on validation bars, the best of them judged on test bars.
