//! Who runs which chunk of a batch, without any device.

use candlewick::domains::market::backtest::board::Board;
use std::time::Duration;

#[test]
fn processors_run_everything_where_there_is_no_device() {
    let board = Board::new(vec![5, 5, 2], 0, false);
    for chunk in 0..3 {
        assert_eq!(board.for_processor(), Some(chunk));
        board.ran(chunk);
    }
    assert_eq!(board.for_processor(), None);
}

#[test]
fn devices_take_from_the_back_and_leave_something() {
    let board = Board::new(vec![1; 9], 2, false);
    assert_eq!(board.for_device(0), [6, 7, 8]);
    assert_eq!(board.for_device(1), [3, 4, 5]);
    assert_eq!(board.for_processor(), Some(0));
    board.ran(0);
    assert!(!board.overtaken(0));
    board.ended(0, true);
    assert!(!board.for_device(0).is_empty());
    // One chunk for two is too little to begin with.
    assert!(Board::new(vec![7], 1, false).for_device(0).is_empty());
    assert_eq!(Board::new(vec![7], 1, true).for_device(0), [0]);
}

#[test]
fn what_a_device_failed_to_run_is_run_by_processors() {
    for devices_first in [false, true] {
        let board = Board::new(vec![1; 4], 1, devices_first);
        let taken = board.for_device(0);
        assert!(!taken.is_empty());
        board.ended(0, false);
        assert!(board.for_device(0).is_empty());
        let mut run: Vec<usize> = std::iter::from_fn(|| {
            let chunk = board.for_processor()?;
            board.ran(chunk);
            Some(chunk)
        })
        .collect();
        run.sort_unstable();
        assert_eq!(run, [0, 1, 2, 3]);
    }
}

#[test]
fn a_slow_device_is_overtaken() {
    let board = Board::new(vec![1; 4], 1, false);
    assert_eq!(board.for_device(0), [2, 3]);
    for _ in 0..4 {
        // Waits until the device has had more time than the chunks before took.
        let chunk = board.for_processor().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        board.ran(chunk);
    }
    assert!(board.overtaken(0));
    board.ended(0, true);
    assert_eq!(board.for_processor(), None);
    assert!(board.for_device(0).is_empty());
}
