//! Where the time of a step goes. The device is idle before and after each stage, so that the sum
//! is a little more than a step takes.
#![allow(non_snake_case)]

use crate::feed::Feed;
use crate::{Args, median, synchronize, update};
use anyhow::Result;
use configs::Loss;
use native::Uploader;
use serde_json::json;
use std::time::Instant;
use tch::{Device, Tensor};
use train::AdamW;
use train::loss::{Alone, Pair, contrastive};
use train::model::Clip;
use train::step::with_precision;

/// Times every stage of `args.steps` steps and prints the medians.
pub fn time(args: &Args, model: &Clip, mut optim: AdamW, feed: &mut Feed) -> Result<()> {
    let mut clock = Clock { device: model.device(), stages: Vec::new() };
    let uploader = Uploader::new(model.device())?;
    let (precision, device) = (args.precision, model.device());
    for step in 0..args.warmup + args.steps {
        if step == args.warmup {
            clock.stages.clear();
        }
        let batch = feed.next_batch()?;
        let (inputs, rows) = feed.prepare(batch, model.logit_scale())?;
        let host =
            [inputs.pixels_BHWC.to_device(Device::Cpu), inputs.ids_BT.to_device(Device::Cpu)];
        clock.time("upload", || Ok(uploader.upload(&host)?))?;
        let image_BD = clock.time("image forward", || {
            let encode = || model.encode_image(&inputs.pixels_BHWC, None);
            Ok(with_precision(precision, device, encode)?)
        })?;
        let text_BD = clock.time("text forward", || {
            Ok(with_precision(precision, device, || model.encode_text(&inputs.ids_BT))?)
        })?;
        let found = clock.time("loss", || {
            let pair = Pair { image_BD: image_BD.detach(), text_BD: text_BD.detach() };
            let scale = model.logit_scale().detach();
            Ok(contrastive(&pair, &scale, None, &rows, &Loss::default(), &Alone)?)
        })?;
        let back = |output: Tensor, grad: &Tensor| -> Result<()> {
            Ok(native::backward(&[output], &[grad.shallow_clone()])?)
        };
        clock.time("text backward", || back(text_BD, &found.grad_BD.text_BD))?;
        clock.time("image backward", || back(image_BD, &found.grad_BD.image_BD))?;
        back(model.logit_scale().shallow_clone(), &found.grad_logit_scale)?;
        clock.time("optimiser", || update(model, &mut optim, &found.loss, step as u64))?;
    }
    for (stage, seconds) in &mut clock.stages {
        println!("{}", json!({"stage": stage, "seconds": median(seconds)}));
    }
    Ok(())
}

/// Seconds of each stage in every step, in the order of the step.
struct Clock {
    device: Device,
    stages: Vec<(&'static str, Vec<f64>)>,
}

impl Clock {
    fn time<T>(&mut self, stage: &'static str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        synchronize(self.device);
        let start = Instant::now();
        let result = body()?;
        synchronize(self.device);
        let seconds = start.elapsed().as_secs_f64();
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, all)) => all.push(seconds),
            None => self.stages.push((stage, vec![seconds])),
        }
        Ok(result)
    }
}
