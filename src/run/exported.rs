//! A model of a run as an ONNX file: scaler, network and the way back to units of the label in one graph.

use super::RunError;
use super::saved::{SavedModel, SavedPlace, named_model};
use crate::config::Plan;
use crate::model::ModelConfig;
use crate::onnx::{ElementType, GraphBuilder, ModelProto, TensorData, Value, ValueInfoProto};
use crate::rundir::{Manifest, RunDir};
use crate::table::{LabelKind, Scaler};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Which model of a run is wanted; what is left out must follow from the run.
#[derive(Clone, Debug, Default)]
pub struct OnnxChoice {
    /// The user's name of the model; not needed where there is one.
    pub model: Option<String>,
    /// Number of the fold whose model it is; the last one by default.
    pub fold: Option<usize>,
    /// Number of one network of an ensemble; by default the mean of all.
    pub seed: Option<usize>,
    /// The symbol that is forecast; needed where scaler or unit of the target differ from symbol to symbol.
    pub symbol: Option<String>,
}

/// A model in the format of ONNX, and what it is.
#[derive(Clone, Debug, Serialize)]
pub struct OnnxExport {
    /// The experiment's name.
    pub experiment: String,
    /// The user's name of the model.
    pub model: String,
    /// That of `predictions.parquet`; of one network of an ensemble its own.
    pub model_version: String,
    /// The registry's name: `lstm`.
    pub kind: String,
    /// Number of the fold on whose training part it was fitted.
    pub fold: usize,
    /// How many networks, whose mean is the forecast.
    pub networks: usize,
    /// Number of the network among those of its fold; absent where all were taken.
    pub seed: Option<usize>,
    /// The symbol that it forecasts; absent where it forecasts all.
    pub symbol: Option<String>,
    /// T: bars of a window, the last one being the newest.
    pub window: usize,
    /// F: names of the features, in the order of the last axis of a window.
    pub features: Vec<String>,
    /// H: horizons in bars, in the order of the last axis of a forecast.
    pub horizons_bars: Vec<u32>,
    /// What a forecast means.
    pub label: LabelKind,
    /// The unit of a forecast, in words.
    pub unit: &'static str,
    /// The target, as the experiment configures it.
    pub target: serde_json::Value,
    /// Fingerprint of the run's plan.
    pub plan_sha256: String,
    /// The file.
    #[serde(skip)]
    pub file: Vec<u8>,
}

/// Writes a model of a complete run as an ONNX file: `window`, raw features `[batch, T, F]` in f64, becomes `forecast`
/// `[batch, H]` in f64, in units of the label. The files of the run are compared with its manifest first.
///
/// # Errors
/// A run that is not complete or was changed, a choice that names nothing or leaves several open, or a model whose
/// forecast is no function of a window.
pub fn export_onnx(run: &Path, plan: &Plan, choice: &OnnxChoice) -> Result<OnnxExport, RunError> {
    let manifest = RunDir::manifest(run)?.ok_or_else(|| {
        let run = run.display();
        RunError::Export(format!("{run} is not complete; continue it with `candlewick run --resume {run}`"))
    })?;
    let (name, config) = chosen_model(plan, choice)?;
    let fold = chosen_fold(&manifest, name, choice)?;
    let place = SavedPlace { model: name, fold, seed: choice.seed };
    let saved = SavedModel::open((run, &manifest), plan, place)?;
    let symbol = chosen_symbol(&manifest, saved.scaler(), choice)?;
    let target = plan.experiment.target.as_ref();
    let target = target.ok_or_else(|| RunError::Export("the experiment has no `target`".into()))?;
    let names = plan.experiment.features.iter().flat_map(|feature| feature.build().names());
    let label = target.build().kind();
    let mut export = OnnxExport {
        experiment: plan.experiment.name.clone(),
        model: name.to_owned(),
        model_version: saved.version().to_owned(),
        kind: config.name().to_owned(),
        fold,
        networks: saved.networks().len(),
        seed: choice.seed,
        symbol: symbol.map(|symbol| manifest.symbols[symbol].clone()),
        window: config.build().window(),
        features: names.collect(),
        horizons_bars: target.build().horizons(),
        label,
        unit: unit_of(label),
        target: serde_json::to_value(target).unwrap_or_default(),
        plan_sha256: manifest.plan_sha256,
        file: Vec::new(),
    };
    export.file = export.encode(&saved, symbol.unwrap_or(0))?;
    Ok(export)
}

fn chosen_model<'a>(plan: &'a Plan, choice: &OnnxChoice) -> Result<(&'a str, &'a ModelConfig), RunError> {
    let models = &plan.experiment.models;
    match &choice.model {
        Some(wanted) => named_model(plan, wanted),
        None if models.len() > 1 => {
            let names: Vec<&str> = models.keys().map(String::as_str).collect();
            let names = names.join(", ");
            Err(RunError::Export(format!("the run has several models; name one with --model: {names}")))
        }
        None => models
            .first()
            .map(|(name, config)| (name.as_str(), config))
            .ok_or_else(|| RunError::Export("the run has no model".into())),
    }
}

fn chosen_fold(manifest: &Manifest, model: &str, choice: &OnnxChoice) -> Result<usize, RunError> {
    let fold_of = |file: &String| {
        let (fold, rest) = file.strip_prefix("models/fold-")?.split_once('/')?;
        rest.strip_prefix(model)?.starts_with('/').then(|| fold.parse().ok())?
    };
    let folds: BTreeSet<usize> = manifest.files.keys().filter_map(fold_of).collect();
    let wanted = choice.fold.or_else(|| folds.last().copied());
    wanted.filter(|fold| folds.contains(fold)).ok_or_else(|| {
        let folds: Vec<String> = folds.iter().map(usize::to_string).collect();
        RunError::Export(match (choice.fold, &folds[..]) {
            (_, []) => format!("the run holds no fitted {model}; run the experiment again"),
            (Some(wanted), _) => format!("{model} has no fold {wanted}; it has {}", folds.join(", ")),
            (None, _) => unreachable!("the last of some folds is one of them"),
        })
    })
}

/// The number of the symbol to which the graph belongs; none where it serves all.
fn chosen_symbol(
    manifest: &Manifest,
    scaler: &Scaler,
    choice: &OnnxChoice,
) -> Result<Option<usize>, RunError> {
    let names = || manifest.symbols.join(", ");
    let Some(wanted) = &choice.symbol else {
        if scaler.differs_by_symbol() {
            return Err(RunError::Export(format!(
                "features or targets are scaled symbol by symbol, so a graph serves one; name it with --symbol: {}",
                names()
            )));
        }
        return Ok(None);
    };
    let found = manifest.symbols.iter().position(|symbol| symbol == wanted);
    let found = found
        .ok_or_else(|| RunError::Export(format!("the run has no symbol `{wanted}`; it has {}", names())))?;
    Ok(scaler.differs_by_symbol().then_some(found))
}

fn unit_of(label: LabelKind) -> &'static str {
    match label {
        LabelKind::Return => "a return as a plain ratio",
        LabelKind::Change => "a change in the unit of the series",
        LabelKind::Scaled => "a return in units of the volatility at the decision",
        LabelKind::Value => "a level in the unit of the series",
        LabelKind::Class | LabelKind::Event => "a probability",
        LabelKind::Direction => "a direction from -1 to 1",
    }
}

impl OnnxExport {
    /// `lstm-fold-3`, with the seed and the symbol where it has them: the beginning of a file name.
    pub fn stem(&self) -> String {
        let mut stem = format!("{}-fold-{}", self.model, self.fold);
        if let Some(seed) = self.seed {
            stem += &format!("-seed-{seed}");
        }
        if let Some(symbol) = &self.symbol {
            let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
            stem += &format!("-{}", symbol.chars().map(plain).collect::<String>());
        }
        stem
    }

    fn encode(&self, saved: &SavedModel, symbol: usize) -> Result<Vec<u8>, RunError> {
        let (models, scaler) = (saved.networks(), saved.scaler());
        let mut graph = GraphBuilder::new(&self.model);
        let shape = [self.window, self.features.len()];
        let about = format!("Raw features, the newest bar last: {}.", self.features.join(", "));
        let windows = graph.input(ValueInfoProto::batch("window", ElementType::Double, &shape, &about));
        let windows = self.scaled(&mut graph, &windows, scaler, symbol)?;
        let mut forecasts = Vec::with_capacity(models.len());
        for (number, model) in models.iter().enumerate() {
            let scope = if models.len() == 1 { "model".into() } else { format!("seed_{number}") };
            let forecast = graph.within(&scope, |graph| model.graph(graph, &windows));
            forecasts
                .push(forecast.map_err(|error| RunError::Export(format!("model {}: {error}", self.model)))?);
        }
        let mut forecast = mean(&mut graph, &forecasts);
        if let Some(unit) = scaler.target_unit(symbol) {
            let unit = graph.constant("target_unit", &[], TensorData::Doubles(vec![unit]));
            forecast = graph.multiply(&forecast, &unit);
        }
        let about = format!("{} for each horizon, in bars: {:?}.", self.unit, self.horizons_bars);
        let shape = [self.horizons_bars.len()];
        let output = ValueInfoProto::batch("forecast", ElementType::Double, &shape, &about);
        let model = ModelProto {
            producer_name: "candlewick".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: format!(
                "`{}`, fold {} of the experiment `{}`: raw features of a window in, forecasts in units of the label out.",
                self.model, self.fold, self.experiment
            ),
            graph: graph.finish(&forecast, output),
            metadata: self.metadata(),
        };
        Ok(model.encode())
    }

    /// `(x - offset) * factor` in f64, then f32: what the windows of a training are made by.
    fn scaled(
        &self,
        graph: &mut GraphBuilder,
        windows: &Value,
        scaler: &Scaler,
        symbol: usize,
    ) -> Result<Value, RunError> {
        let features = self.features.len();
        let (offset, factor) = scaler
            .of_symbol(symbol)
            .filter(|(offset, factor)| (offset.len(), factor.len()) == (features, features))
            .ok_or_else(|| {
                RunError::Export("the scaler of the run has other features than its plan".into())
            })?;
        Ok(graph.within("scaler", |graph| {
            let offset = graph.constant("offset", &[features], TensorData::Doubles(offset.to_vec()));
            let factor = graph.constant("factor", &[features], TensorData::Doubles(factor.to_vec()));
            let centred = graph.subtract(windows, &offset);
            let scaled = graph.multiply(&centred, &factor);
            graph.cast(&scaled, ElementType::Float)
        }))
    }

    /// What a program that has the file alone must know.
    fn metadata(&self) -> Vec<(String, String)> {
        let text = |value: &dyn ToString| value.to_string();
        let json = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            value => value.to_string(),
        };
        let mut entries = vec![
            ("experiment", self.experiment.clone()),
            ("model", self.model.clone()),
            ("model_version", self.model_version.clone()),
            ("kind", self.kind.clone()),
            ("fold", text(&self.fold)),
            ("networks", text(&self.networks)),
            ("window", text(&self.window)),
            ("features", json(serde_json::json!(self.features))),
            ("horizons_bars", json(serde_json::json!(self.horizons_bars))),
            ("label", json(serde_json::json!(self.label))),
            ("unit", self.unit.to_owned()),
            ("target", json(self.target.clone())),
            ("plan_sha256", self.plan_sha256.clone()),
        ];
        entries.extend(self.seed.map(|seed| ("seed", text(&seed))));
        entries.extend(self.symbol.clone().map(|symbol| ("symbol", symbol)));
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// The mean of some forecasts, of which there is at least one.
fn mean(graph: &mut GraphBuilder, forecasts: &[Value]) -> Value {
    let Some((first, others)) = forecasts.split_first() else { unreachable!("a fold has a network") };
    if others.is_empty() {
        return first.clone();
    }
    let sum = others.iter().fold(first.clone(), |sum, forecast| graph.add(&sum, forecast));
    let count = graph.constant("networks", &[], TensorData::Doubles(vec![forecasts.len() as f64]));
    graph.divide(&sum, &count)
}
