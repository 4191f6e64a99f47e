//! What no model can have, or this program does not run.

use super::Config;

/// Groups of the GroupNorm behind every input projection.
const GROUPS: i64 = 32;

/// The first key that cannot be, with expected and found.
pub(super) fn impossible(c: &Config) -> Option<(&'static str, String)> {
    unsupported(c).or_else(|| sizes(c)).or_else(|| divisions(c)).or_else(|| backbone(c))
}

/// Settings of no released model, which transformers 5.23 itself cannot run.
fn unsupported(c: &Config) -> Option<(&'static str, String)> {
    let only = |key, found: String, expected: &str| {
        Some((key, format!("expected {expected}, as every released model has, found {found}")))
    };
    match c {
        _ if !c.two_stage => only("two_stage", "false".into(), "true"),
        _ if !c.embedding_init_target => only("embedding_init_target", "false".into(), "true"),
        _ if c.query_dim != 4 => only("query_dim", c.query_dim.to_string(), "4"),
        _ if c.position_embedding_type != "sine" => {
            let found = format!("`{}`", c.position_embedding_type);
            only("position_embedding_type", found, "`sine`")
        }
        _ if c.backbone_config.use_absolute_embeddings => {
            only("backbone_config.use_absolute_embeddings", "true".into(), "false")
        }
        _ if c.backbone_config.num_channels != 3 => {
            let found = c.backbone_config.num_channels.to_string();
            only("backbone_config.num_channels", found, "3")
        }
        _ => None,
    }
}

fn sizes(c: &Config) -> Option<(&'static str, String)> {
    let (swin, bert) = (&c.backbone_config, &c.text_config);
    let sizes = [
        ("d_model", c.d_model),
        ("num_queries", c.num_queries),
        ("encoder_ffn_dim", c.encoder_ffn_dim),
        ("encoder_attention_heads", c.encoder_attention_heads),
        ("encoder_n_points", c.encoder_n_points),
        ("decoder_layers", i64::try_from(c.decoder_layers).unwrap_or(i64::MAX)),
        ("decoder_ffn_dim", c.decoder_ffn_dim),
        ("decoder_attention_heads", c.decoder_attention_heads),
        ("decoder_n_points", c.decoder_n_points),
        ("num_feature_levels", c.num_feature_levels),
        ("max_text_len", c.max_text_len),
        ("backbone_config.patch_size", swin.patch_size),
        ("backbone_config.embed_dim", swin.embed_dim),
        ("backbone_config.window_size", swin.window_size),
        ("text_config.vocab_size", bert.vocab_size),
        ("text_config.hidden_size", bert.hidden_size),
        ("text_config.num_attention_heads", bert.num_attention_heads),
        ("text_config.intermediate_size", bert.intermediate_size),
        ("text_config.max_position_embeddings", bert.max_position_embeddings),
        ("text_config.type_vocab_size", bert.type_vocab_size),
    ];
    let (key, found) = sizes.into_iter().find(|(_, size)| *size < 1)?;
    Some((key, format!("expected at least 1, found {found}")))
}

fn divisions(c: &Config) -> Option<(&'static str, String)> {
    let (width, bert) = (c.d_model, &c.text_config);
    let half = c.encoder_attention_heads / 2;
    if c.encoder_attention_heads % 2 != 0 || width % half != 0 {
        let problem = format!(
            "{} heads: half of them must divide d_model {width}",
            c.encoder_attention_heads
        );
        return Some(("encoder_attention_heads", problem));
    }
    let parts = [
        ("encoder_attention_heads", c.encoder_attention_heads, "d_model", width),
        ("decoder_attention_heads", c.decoder_attention_heads, "d_model", width),
        ("encoder_attention_heads / 2", half, "encoder_ffn_dim / 2", c.encoder_ffn_dim / 2),
        (
            "text_config.num_attention_heads",
            bert.num_attention_heads,
            "text_config.hidden_size",
            bert.hidden_size,
        ),
        ("the groups of GroupNorm", GROUPS, "d_model", width),
        ("4 sines and cosines", 4, "d_model", width),
    ];
    let (part, divisor, whole, size) =
        parts.into_iter().find(|(_, divisor, _, size)| size % divisor != 0)?;
    let key = if divisor == GROUPS || whole == "d_model" { "d_model" } else { part };
    Some((key, format!("{whole} is {size}, which {divisor} ({part}) does not divide")))
}

fn backbone(c: &Config) -> Option<(&'static str, String)> {
    let swin = &c.backbone_config;
    if swin.depths.is_empty() || swin.depths.len() != swin.num_heads.len() {
        let (depths, heads) = (swin.depths.len(), swin.num_heads.len());
        let problem = format!("expected one number per stage, found {heads} for {depths} stages");
        return Some(("backbone_config.num_heads", problem));
    }
    for (stage, &heads) in (1..).zip(&swin.num_heads) {
        let width = swin.width(stage);
        if heads < 1 || width % heads != 0 {
            let problem = format!("stage {stage}: {heads} heads do not divide its width {width}");
            return Some(("backbone_config.num_heads", problem));
        }
    }
    let Some(outputs) = swin.outputs() else {
        let problem = format!("expected stages from `stem` to `stage{}`", swin.depths.len());
        return Some(("backbone_config.out_features", problem));
    };
    let (found, levels) = (i64::try_from(outputs.len()).unwrap_or(i64::MAX), c.num_feature_levels);
    if found < 1 || found > levels {
        let problem = format!("expected 1 to {levels} stages (num_feature_levels), found {found}");
        return Some(("backbone_config.out_features", problem));
    }
    None
}
