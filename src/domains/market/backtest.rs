//! Backtest contract (the owner of this room replaces this stub).
