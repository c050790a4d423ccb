//! Members of a population: the same bits whatever the slices, the company, the arena and the threads.

use crate::planted::{World, predict_bits, progress_texts};
use candlewick::kernels::arena::Arena;
use candlewick::model::{
    Advance, Fit, FitError, Lstm, Member, ModelConfig, Started, StopReason, Transformer,
};
use candlewick::progress::{Progress, Silent};
use candlewick::seed::Seed;
use candlewick::train::{AdamWConfig, EarlyStopping, OptimizerConfig, ScheduleConfig, TrainConfig};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

fn lstm(dropout: f64) -> ModelConfig {
    ModelConfig::Lstm(Lstm { window: 6, layers: vec![8, 5], dropout, ..Lstm::default() })
}

fn transformer() -> ModelConfig {
    let settings =
        Transformer { window: 6, width: 8, heads: 2, layers: 2, patch_bars: 2, ..Transformer::default() };
    ModelConfig::Transformer(settings)
}

fn config(learning_rate: f64) -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 16,
        optimizer: OptimizerConfig::AdamW(AdamWConfig { learning_rate, ..AdamWConfig::default() }),
        schedule: ScheduleConfig::Cosine { warm_up_steps: 3 },
        early_stopping: Some(EarlyStopping { patience: 2, min_delta: 0.0 }),
        ..TrainConfig::default()
    }
}

/// What a member is.
struct Case {
    world: World,
    model: ModelConfig,
    config: TrainConfig,
}

impl Case {
    fn start<'a>(&self, checkpoint: Option<&Path>, progress: &'a dyn Progress) -> Member<'a> {
        let task = self.world.task(&self.model, &self.config, checkpoint, &NEVER, progress);
        match self.model.build().start(task).unwrap() {
            Started::Member(member) => member,
            Started::Done(_) => panic!("{} has no training", self.model.name()),
        }
    }

    fn alone(&self) -> Outcome {
        self.outcome(&self.world.fit(&self.model, &self.config).unwrap())
    }

    fn outcome(&self, fit: &Fit) -> Outcome {
        let report = &fit.report;
        (
            predict_bits(&self.world, &*fit.model),
            format!("{:?}", report.epochs),
            report.best_epoch,
            report.samples,
        )
    }
}

/// Everything of a fit that must not depend on how it came about.
type Outcome = (Vec<u64>, String, Option<u64>, u64);

/// Members of different kinds, shapes, seeds and settings.
fn cases() -> Vec<Case> {
    let all = [(lstm(0.2), 1e-2, 7), (transformer(), 1e-3, 8), (lstm(0.4), 1e-3, 9), (lstm(0.0), 3e-3, 10)];
    let case = |(model, learning_rate, seed): (ModelConfig, f64, u64)| {
        let mut world = World::new(6, 100 + 7 * seed as usize, 2);
        world.seed = Seed(seed);
        Case { world, model, config: config(learning_rate) }
    };
    all.into_iter().map(case).collect()
}

#[test]
fn slices_of_any_size_give_the_same_bits() {
    for case in cases() {
        let alone = case.alone();
        for steps in [1, 3, 17, u64::MAX] {
            let (arena, mut member) = (Arena::default(), case.start(None, &Silent));
            let mut epochs = 0;
            let reason = loop {
                match member.advance(steps, &arena).unwrap() {
                    Advance::Stepping => assert!(steps < u64::MAX, "a slice ends early only with its epoch"),
                    Advance::Epoch(record) => {
                        epochs += 1;
                        assert_eq!((record.epoch, member.epoch()), (epochs, epochs));
                        assert_eq!(member.curve().last(), Some(&record));
                    }
                    Advance::Done(reason) => break reason,
                }
            };
            assert_eq!(member.advance(steps, &arena).unwrap(), Advance::Done(reason));
            let parameters = member.parameters();
            let fit = member.finish().unwrap();
            assert_eq!((fit.report.stop_reason, fit.report.parameters), (reason, parameters));
            assert_eq!(alone, case.outcome(&fit), "{} by slices of {steps}", case.model.name());
        }
    }
}

/// Moves members by slices of random sizes in a random order on so many threads, each with one arena.
fn in_company(members: Vec<(usize, Member)>, threads: usize) -> Vec<(usize, Fit)> {
    let (waiting, done) = (Mutex::new(members), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (waiting, done) = (&waiting, &done);
            scope.spawn(move || {
                let arena = Arena::default();
                let mut stream = Seed(threads as u64).stream("company", thread as u64);
                loop {
                    let (place, mut member) = {
                        let mut waiting = waiting.lock().unwrap();
                        if waiting.is_empty() {
                            return;
                        }
                        let index = stream.below(waiting.len());
                        waiting.swap_remove(index)
                    };
                    match member.advance(1 + stream.below(20) as u64, &arena).unwrap() {
                        Advance::Done(_) => done.lock().unwrap().push((place, member.finish().unwrap())),
                        _ => waiting.lock().unwrap().push((place, member)),
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done
}

#[test]
fn company_order_arenas_and_threads_change_no_bit() {
    let cases = cases();
    let alone: Vec<Outcome> = cases.iter().map(Case::alone).collect();
    for threads in [1, 2, 3] {
        let members = cases.iter().map(|case| case.start(None, &Silent)).enumerate().collect();
        for (place, fit) in in_company(members, threads) {
            assert_eq!(alone[place], cases[place].outcome(&fit), "member {place} on {threads} threads");
        }
    }
}

#[test]
fn a_population_that_was_interrupted_ends_with_the_same_bits() {
    let cases = cases();
    let alone: Vec<Outcome> = cases.iter().map(Case::alone).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = |place: usize| folder.path().join(format!("{place}.safetensors"));
    let arena = Arena::default();
    for (place, case) in cases.iter().enumerate() {
        // The first is dropped within its first epoch, the others one epoch later each, and in the middle of one.
        let mut member = case.start(Some(&file(place)), &Silent);
        while member.epoch() < place as u64 {
            member.advance(5, &arena).unwrap();
        }
        assert_eq!(member.advance(2, &arena).unwrap(), Advance::Stepping);
    }
    let resumed: Vec<_> =
        (0..).zip(&cases).map(|(place, case)| case.start(Some(&file(place)), &Silent)).collect();
    for (place, member) in resumed.iter().enumerate() {
        assert_eq!(member.epoch(), place as u64);
    }
    for (place, fit) in in_company(resumed.into_iter().enumerate().collect(), 2) {
        assert_eq!(alone[place], cases[place].outcome(&fit), "member {place}");
    }
}

fn to_epoch(member: &mut Member, epoch: u64, arena: &Arena) {
    while member.epoch() < epoch {
        member.advance(1000, arena).unwrap();
    }
}

#[test]
fn a_member_forecasts_with_the_weights_that_it_would_keep() {
    // No signal and a high rate, so that the best epoch is soon not the last one.
    let mut config = config(3e-2);
    config.epochs = 12;
    config.early_stopping = Some(EarlyStopping { patience: 12, min_delta: 0.0 });
    let case = Case { world: World::noise(6, 80, 1), model: lstm(0.2), config };
    let arena = Arena::default();
    let mut kept_an_old_one = false;
    for epochs in 1..=4 {
        let mut member = case.start(None, &Silent);
        to_epoch(&mut member, epochs, &arena);
        let before = member.forecast(&case.world.test, &arena).unwrap();
        assert_eq!(before, member.forecast(&case.world.test, &arena).unwrap());
        let fit = member.finish().unwrap();
        assert_eq!(fit.report.stop_reason, StopReason::Early);
        assert_eq!(before, case.world.predict(&*fit.model), "after epoch {epochs}");
        kept_an_old_one |= fit.report.best_epoch != Some(epochs);
    }
    assert!(kept_an_old_one, "the case must have a best epoch that is not the last one");
}

#[test]
fn a_member_goes_on_from_where_another_one_was() {
    let (arena, cases) = (Arena::default(), cases());
    let source = &cases[0];
    let mut reference = source.start(None, &Silent);
    to_epoch(&mut reference, 2, &arena);
    let mut heir = source.start(None, &Silent);
    to_epoch(&mut heir, 1, &arena);
    heir.adopt(&reference).unwrap();
    assert_eq!((heir.epoch(), heir.curve()), (2, reference.curve()));
    let ends = |member: Member| {
        let (bits, curve, best, _) = source.outcome(&member.to_end(&arena).unwrap());
        (bits, curve, best)
    };
    let (alone, ..) = source.alone();
    let expected = ends(reference);
    assert_eq!(expected.0, alone);
    assert_eq!(ends(heir), expected, "equal settings and seed: the heir repeats the other");

    let member = |index: usize| cases[index].start(None, &Silent);
    let mut heir = member(2);
    assert_eq!(heir.shape(), member(0).shape());
    assert_eq!(heir.shape(), "lstm [8, 5], 6 bars, 3 features, 2 outputs");
    let error = heir.adopt(&member(1)).unwrap_err();
    assert!(error.to_string().contains("other shapes"), "{error}");
    let mut busy = member(0);
    busy.advance(1, &arena).unwrap();
    let error = heir.adopt(&busy).unwrap_err();
    assert!(error.to_string().contains("in the middle of an epoch"), "{error}");
}

#[test]
fn an_optimiser_that_is_changed_acts_from_the_next_step_and_survives_an_interruption() {
    let arena = Arena::default();
    let case = |learning_rate: f64| Case {
        world: World::new(6, 120, 1),
        model: lstm(0.1),
        config: config(learning_rate),
    };
    let (slow, fast) = (case(1e-3), case(1e-2));
    let OptimizerConfig::AdamW(adamw) = fast.config.optimizer;
    let mut member = slow.start(None, &Silent);
    member.set_optimizer(adamw);
    assert_eq!(slow.outcome(&member.to_end(&arena).unwrap()), fast.alone(), "before the first step");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let mut member = slow.start(Some(&file), &Silent);
    to_epoch(&mut member, 1, &arena);
    member.set_optimizer(adamw);
    to_epoch(&mut member, 2, &arena);
    let resumed = slow.start(Some(&file), &Silent).to_end(&arena).unwrap();
    let whole = slow.outcome(&member.to_end(&arena).unwrap());
    assert_eq!(whole, slow.outcome(&resumed));
    assert_ne!(whole, slow.alone());
}

#[test]
fn a_member_whose_loss_is_no_number_goes_back_to_its_best_epoch_and_leaves_the_others_alone() {
    let arena = Arena::default();
    for stopping in [None, Some(EarlyStopping { patience: 3, min_delta: 0.0 })] {
        let mut cases = cases();
        for case in &mut cases {
            case.config.early_stopping = stopping;
            case.config.gradient_clip = None;
        }
        let place = 1;
        let (fits, texts) = progress_texts(|progress| {
            let mut members: Vec<_> =
                cases.iter().map(|case| case.start(None, progress)).enumerate().collect();
            for (_, member) in &mut members {
                to_epoch(member, 2, &arena);
            }
            let ruinous = AdamWConfig { learning_rate: 1e30, ..AdamWConfig::default() };
            members[place].1.set_optimizer(ruinous);
            in_company(members, 2)
        });
        let told: Vec<&String> = texts.iter().filter(|text| text.contains("best one before")).collect();
        assert_eq!(told.len(), 1, "{texts:?}");
        assert!(
            told[0].starts_with("fold 1 transformer: the loss became") && told[0].contains("in epoch 3"),
            "{told:?}"
        );
        for (index, fit) in &fits {
            if *index != place {
                assert_eq!(cases[*index].alone(), cases[*index].outcome(fit), "member {index}");
                continue;
            }
            let report = &fit.report;
            assert_eq!((report.stop_reason, report.epochs.len()), (StopReason::Diverged, 2));
            let best =
                report.epochs.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
            assert_eq!(report.best_epoch, Some(best.epoch));
            let mut short = cases[place].start(None, &Silent);
            to_epoch(&mut short, best.epoch, &arena);
            let short = short.finish().unwrap();
            assert_eq!(
                predict_bits(&cases[place].world, &*fit.model),
                predict_bits(&cases[place].world, &*short.model)
            );
        }
    }
}

#[test]
fn a_member_without_a_whole_epoch_has_nothing_to_go_back_to() {
    let mut case = cases().remove(1);
    case.config = config(1e30);
    case.config.gradient_clip = None;
    let error = case.world.fit(&case.model, &case.config).map(|_| ()).unwrap_err();
    assert!(matches!(error, FitError::Diverged { epoch: 1, .. }), "{error}");
}

#[test]
fn micro_batches_add_up_to_the_whole_batch() {
    // A large epsilon makes the step follow the gradient, and one epoch of 64 windows is two steps; 12 does not divide 32.
    let world = World::new(6, 64, 2);
    for model in [lstm(0.0), {
        let ModelConfig::Transformer(settings) = transformer() else { unreachable!() };
        ModelConfig::Transformer(Transformer { dropout: 0.0, ..settings })
    }] {
        let forecasts = |micro_batch: Option<usize>| {
            let adamw =
                AdamWConfig { learning_rate: 1.0, epsilon: 1.0, weight_decay: 0.0, ..AdamWConfig::default() };
            let config = TrainConfig {
                epochs: 1,
                batch_size: 32,
                micro_batch,
                gradient_clip: None,
                optimizer: OptimizerConfig::AdamW(adamw),
                schedule: ScheduleConfig::Constant,
                ..config(1.0)
            };
            world.predict(&*world.fit(&model, &config).unwrap().model)
        };
        let whole = forecasts(None);
        assert_eq!(whole, forecasts(Some(32)), "one pass is the whole batch");
        let size = whole.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
        let parts = forecasts(Some(12));
        // Sums of f32 in another order; a part that were weighted wrongly would show in the second digit.
        for (whole, parts) in whole.iter().zip(&parts) {
            assert!((whole - parts).abs() <= 2e-5 * size, "{}: {parts} instead of {whole}", model.name());
        }
        assert_ne!(whole, parts, "the parts were really passed one by one");
    }
}

/// Peak memory of this process so far, in MB.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<f64>().unwrap() / 1000.0
}

/// 64 members of benchmark A in turn on one core. Run alone, on a quiet machine:
/// `cargo test --release --test suite -- --ignored --nocapture sixty_four_members`
#[test]
#[ignore = "measures memory and speed"]
fn sixty_four_members_cost_their_weights_and_no_speed() {
    // 256 steps an epoch are 16 whole slices; few validation windows, so that steps are what is measured.
    let mut world = World::with_features(60, 8192, 5, 6, 0.5);
    let few = world.validation.samples()[..32].to_vec();
    let targets = (0..32).flat_map(|index| world.validation.target(index)).copied().collect();
    world.validation = world.validation.with_samples(few, targets).unwrap().into();
    let model =
        ModelConfig::Lstm(Lstm { window: 60, layers: vec![100, 50], dropout: 0.2, ..Lstm::default() });
    let config = TrainConfig {
        epochs: 1000,
        batch_size: 32,
        gradient_clip: None,
        early_stopping: None,
        ..config(1e-3)
    };
    let case = Case { world, model, config };
    let arena = Arena::default();
    let slice = 16;
    let time = |members: &mut [Member], slices: u64| {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        for _ in 0..slices / members.len() as u64 {
            for member in members.iter_mut() {
                member.advance(slice, &arena).unwrap();
            }
        }
        let end = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds = (end.tv_sec - clock.tv_sec) as f64 + (end.tv_nsec - clock.tv_nsec) as f64 * 1e-9;
        (slices * slice * 32) as f64 / seconds
    };
    let mut one = [case.start(None, &Silent)];
    time(&mut one, 1);
    let with_one = peak_megabytes();
    let mut many: Vec<Member> = (0..64).map(|_| case.start(None, &Silent)).collect();
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let (alone, in_turn) = (time(&mut one, 64), time(&mut many, 64));
        println!("alone {alone:.0}, 64 in turn {in_turn:.0} samples per CPU second");
        ratios.push(in_turn / alone);
    }
    // Every member has its best weights, too, once an epoch is whole.
    many.iter_mut().for_each(|member| to_epoch(member, 1, &arena));
    ratios.sort_unstable_by(f64::total_cmp);
    let (ratio, peak) = (ratios[1], peak_megabytes());
    println!("median ratio {ratio:.3}, peak {with_one:.0} MB with one member, {peak:.0} MB with 65");
    assert!(peak <= 150.0, "{peak} MB");
    assert!(ratio >= 0.95, "{ratio}");
}
