//! The intrabar rule, branch by branch, by bars made by hand.

use candlewick::kernels::exit_rules::ExitReason::{Stop, Target, Time, Trailing};
use candlewick::kernels::exit_rules::{Exit, ExitParameters, ExitReason, OpenPosition};

/// Stop at an eighth, target at a quarter: exact in binary.
const BRACKET: ExitParameters =
    ExitParameters { stop_loss: 0.125, take_profit: 0.25, ..ExitParameters::NONE };

fn long() -> OpenPosition {
    OpenPosition::FLAT.after_fill(0.0, 2.0, 100.0, 100.0, 7)
}

fn short() -> OpenPosition {
    OpenPosition::FLAT.after_fill(0.0, -2.0, 100.0, 100.0, 7)
}

fn exit(reason: ExitReason, reference: f64) -> Option<Exit> {
    Some(Exit { reason, reference })
}

#[test]
fn exit_rules_at_the_open() {
    // Long: stop 87.5, target 125. Short: stop 112.5, target 75.
    for (position, open, traded, expected) in [
        (long(), 100.0, false, None),
        (long(), 87.6, false, None),
        (long(), 87.5, false, exit(Stop, 87.5)),
        (long(), 60.0, false, exit(Stop, 60.0)),
        (long(), 60.0, true, None),
        (long(), 124.9, false, None),
        (long(), 125.0, false, exit(Target, 125.0)),
        (long(), 150.0, false, exit(Target, 150.0)),
        (long(), 150.0, true, None),
        (short(), 112.4, false, None),
        (short(), 112.5, false, exit(Stop, 112.5)),
        (short(), 140.0, false, exit(Stop, 140.0)),
        (short(), 140.0, true, None),
        (short(), 75.1, false, None),
        (short(), 75.0, false, exit(Target, 75.0)),
        (short(), 60.0, false, exit(Target, 60.0)),
    ] {
        assert_eq!(BRACKET.at_open(&position, 8, open, traded), expected, "{position:?} {open} {traded}");
    }
}

#[test]
fn exit_rules_within_the_bar() {
    let best_first = ExitParameters { worst_first: false, ..BRACKET };
    // open, high, low.
    for (rule, position, [open, high, low], expected) in [
        (BRACKET, long(), [100.0, 124.0, 88.0], None),
        // A touch of the stop is enough, a touch of the target is not.
        (BRACKET, long(), [100.0, 101.0, 87.5], exit(Stop, 87.5)),
        (BRACKET, long(), [100.0, 125.0, 99.0], None),
        (BRACKET, long(), [100.0, 125.1, 99.0], exit(Target, 125.0)),
        (BRACKET, long(), [100.0, 126.0, 80.0], exit(Stop, 87.5)),
        (best_first, long(), [100.0, 126.0, 80.0], exit(Target, 125.0)),
        (best_first, long(), [100.0, 125.0, 80.0], exit(Stop, 87.5)),
        (BRACKET, short(), [100.0, 112.0, 76.0], None),
        (BRACKET, short(), [100.0, 112.5, 99.0], exit(Stop, 112.5)),
        (BRACKET, short(), [100.0, 101.0, 75.0], None),
        (BRACKET, short(), [100.0, 101.0, 74.9], exit(Target, 75.0)),
        (BRACKET, short(), [100.0, 113.0, 70.0], exit(Stop, 112.5)),
        (best_first, short(), [100.0, 113.0, 70.0], exit(Target, 75.0)),
        // Beyond a level from the open on: the open is all there is.
        (BRACKET, long(), [86.0, 87.0, 80.0], exit(Stop, 86.0)),
        (BRACKET, short(), [114.0, 115.0, 110.0], exit(Stop, 114.0)),
        (BRACKET, long(), [126.0, 127.0, 124.0], exit(Target, 126.0)),
        (BRACKET, short(), [74.0, 76.0, 73.0], exit(Target, 74.0)),
    ] {
        let bar = format!("{rule:?} {position:?} {open} {high} {low}");
        assert_eq!(rule.within_bar(&position, open, high, low), expected, "{bar}");
    }
}

#[test]
fn exit_rules_trailing_stop_follows_one_bar_behind() {
    let rule = ExitParameters { stop_loss: 0.25, trailing_stop: 0.125, ..ExitParameters::NONE };
    let mut position = long();
    // On the bar of the entry the extreme is the entry's reference price, whatever the bar's high.
    assert_eq!(rule.stop_level(&position), (87.5, Trailing));
    assert_eq!(rule.within_bar(&position, 100.0, 160.0, 90.0), None);
    position = position.survived(160.0, 90.0);
    assert_eq!(rule.stop_level(&position), (140.0, Trailing));
    assert_eq!(rule.at_open(&position, 8, 139.0, false), exit(Trailing, 139.0));
    assert_eq!(rule.within_bar(&position, 150.0, 200.0, 140.0), exit(Trailing, 140.0));
    // A lower high does not loosen it.
    assert_eq!(position.survived(150.0, 145.0), position);

    let mut mirror = short();
    assert_eq!(rule.stop_level(&mirror), (112.5, Trailing));
    assert_eq!(rule.within_bar(&mirror, 100.0, 110.0, 40.0), None);
    mirror = mirror.survived(110.0, 40.0);
    assert_eq!(rule.stop_level(&mirror), (45.0, Trailing));
    assert_eq!(rule.within_bar(&mirror, 42.0, 45.0, 30.0), exit(Trailing, 45.0));
    assert_eq!(mirror.survived(44.0, 41.0), mirror);
}

#[test]
fn exit_rules_the_tightest_stop_counts() {
    let tight = ExitParameters { stop_loss: 0.0625, trailing_stop: 0.125, ..ExitParameters::NONE };
    assert_eq!(tight.stop_level(&long()), (93.75, Stop));
    assert_eq!(tight.stop_level(&short()), (106.25, Stop));
    // Equally tight: the fixed one.
    let equal = ExitParameters { stop_loss: 0.125, trailing_stop: 0.125, ..ExitParameters::NONE };
    assert_eq!(equal.stop_level(&long()), (87.5, Stop));
    let neither = ExitParameters::NONE.stop_level(&long()).0;
    assert!(neither.is_nan() && ExitParameters::NONE.target_level(&long()).is_nan());
    assert_eq!(ExitParameters::NONE.at_open(&long(), 1000, 1e-9, false), None);
    assert_eq!(ExitParameters::NONE.within_bar(&long(), 1.0, 1e9, 1e-9), None);
}

#[test]
fn exit_rules_a_stop_tighter_than_the_slippage_gets_the_open() {
    // Paid 100 at a reference of 90: the stop at 95 is above the market when the position begins.
    let rule = ExitParameters { stop_loss: 0.05, ..ExitParameters::NONE };
    let position = OpenPosition::FLAT.after_fill(0.0, 1.0, 100.0, 90.0, 3);
    assert_eq!(position.extreme, 90.0);
    assert_eq!(rule.at_open(&position, 3, 90.0, true), None);
    assert_eq!(rule.within_bar(&position, 90.0, 99.0, 89.0), exit(Stop, 90.0));
}

#[test]
fn exit_rules_time_limit() {
    let open = ExitParameters { max_bars: 3, ..BRACKET };
    // Entered in row 7: closed at the open of row 10, before the gap is looked at, traded or not.
    assert_eq!(open.at_open(&long(), 9, 100.0, false), None);
    assert_eq!(open.at_open(&long(), 10, 100.0, false), exit(Time, 100.0));
    assert_eq!(open.at_open(&long(), 10, 60.0, false), exit(Time, 60.0));
    assert_eq!(open.at_open(&long(), 10, 100.0, true), exit(Time, 100.0));
    assert_eq!(open.at_close(&long(), 10, 100.0), None);
    let close = ExitParameters { fills_at_open: false, ..open };
    assert_eq!(close.at_open(&short(), 10, 100.0, false), None);
    assert_eq!(close.at_close(&short(), 9, 101.0), None);
    assert_eq!(close.at_close(&short(), 10, 101.0), exit(Time, 101.0));
    assert_eq!(ExitParameters::NONE.at_open(&long(), u32::MAX, 100.0, false), None);
}

#[test]
fn exit_rules_position_follows_its_fills() {
    let opened = OpenPosition::FLAT.after_fill(0.0, 2.0, 101.0, 100.0, 5);
    assert_eq!(opened, OpenPosition { direction: 1.0, entry_price: 101.0, extreme: 100.0, entry_row: 5 });
    // 2 at 101 and 2 at 111: 106 on average; as old as its first fill.
    let grown = opened.after_fill(2.0, 2.0, 111.0, 110.0, 6);
    assert_eq!(grown, OpenPosition { entry_price: 106.0, ..opened });
    assert_eq!(grown.after_fill(4.0, -1.0, 120.0, 120.0, 7), grown);
    assert_eq!(grown.after_fill(4.0, -4.0, 120.0, 120.0, 7), OpenPosition::FLAT);
    let turned = grown.after_fill(4.0, -5.0, 98.0, 99.0, 8);
    assert_eq!(turned, OpenPosition { direction: -1.0, entry_price: 98.0, extreme: 99.0, entry_row: 8 });
    let grown_short = turned.after_fill(-1.0, -3.0, 94.0, 95.0, 9);
    assert_eq!(grown_short, OpenPosition { entry_price: 95.0, ..turned });
}

#[test]
fn exit_rules_only_the_target_rests() {
    assert_eq!([Stop, Target, Trailing, Time].map(ExitReason::rests), [false, true, false, false]);
}
