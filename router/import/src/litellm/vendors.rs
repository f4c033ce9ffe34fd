//! LiteLLM's providers as vendors of this gateway.

/// A provider of LiteLLM.
pub(super) struct Vendor {
    /// Before the slash of `model`.
    prefix: &'static str,
    /// The vendor's name here.
    pub(super) slug: &'static str,
    /// Where LiteLLM finds the key when none is written; empty where none is needed.
    pub(super) variable: &'static str,
    /// LiteLLM's address, where it is not the one here.
    pub(super) base: Option<&'static str>,
}

const fn row(prefix: &'static str, slug: &'static str, variable: &'static str) -> Vendor {
    Vendor { prefix, slug, variable, base: None }
}

static VENDORS: &[Vendor] = &[
    row("openai", "openai", "OPENAI_API_KEY"),
    row("text-completion-openai", "openai", "OPENAI_API_KEY"),
    row("custom_openai", "openai", "OPENAI_API_KEY"),
    row("openai_like", "openai", "OPENAI_LIKE_API_KEY"),
    row("litellm_proxy", "openai", "LITELLM_PROXY_API_KEY"),
    row("azure", "azure-openai", "AZURE_API_KEY"),
    row("azure_text", "azure-openai", "AZURE_API_KEY"),
    row("azure_ai", "azure-ai", "AZURE_AI_API_KEY"),
    row("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
    row("gemini", "google", "GEMINI_API_KEY"),
    row("groq", "groq", "GROQ_API_KEY"),
    row("mistral", "mistral-ai", "MISTRAL_API_KEY"),
    row("cohere", "cohere", "COHERE_API_KEY"),
    row("cohere_chat", "cohere", "COHERE_API_KEY"),
    row("together_ai", "together-ai", "TOGETHERAI_API_KEY"),
    row("fireworks_ai", "fireworks-ai", "FIREWORKS_AI_API_KEY"),
    row("perplexity", "perplexity-ai", "PERPLEXITYAI_API_KEY"),
    row("deepseek", "deepseek", "DEEPSEEK_API_KEY"),
    row("deepinfra", "deepinfra", "DEEPINFRA_API_KEY"),
    row("openrouter", "openrouter", "OPENROUTER_API_KEY"),
    row("xai", "x-ai", "XAI_API_KEY"),
    row("nvidia_nim", "nvidia", "NVIDIA_NIM_API_KEY"),
    row("cerebras", "cerebras", "CEREBRAS_API_KEY"),
    row("sambanova", "sambanova", "SAMBANOVA_API_KEY"),
    row("ai21", "ai21", "AI21_API_KEY"),
    row("ai21_chat", "ai21", "AI21_API_KEY"),
    row("databricks", "databricks", "DATABRICKS_API_KEY"),
    row("github", "github", "GITHUB_API_KEY"),
    row("huggingface", "huggingface", "HF_TOKEN"),
    row("voyage", "voyage", "VOYAGE_API_KEY"),
    row("jina_ai", "jina", "JINA_AI_API_KEY"),
    row("dashscope", "dashscope", "DASHSCOPE_API_KEY"),
    // The gateway's own address is the Chinese site, which has other keys.
    Vendor { base: Some("https://api.moonshot.ai/v1"), ..row("moonshot", "moonshot", "MOONSHOT_API_KEY") },
    row("minimax", "minimax", "MINIMAX_API_KEY"),
    row("zai", "z-ai", "ZAI_API_KEY"),
    row("nebius", "nebius", "NEBIUS_API_KEY"),
    row("novita", "novita-ai", "NOVITA_API_KEY"),
    row("hyperbolic", "hyperbolic", "HYPERBOLIC_API_KEY"),
    row("lambda_ai", "lambda", "LAMBDA_API_KEY"),
    row("nscale", "nscale", "NSCALE_API_KEY"),
    row("featherless_ai", "featherless-ai", "FEATHERLESS_AI_API_KEY"),
    row("ovhcloud", "ovhcloud", "OVHCLOUD_API_KEY"),
    row("cometapi", "cometapi", "COMETAPI_KEY"),
    row("recraft", "recraft-ai", "RECRAFT_API_KEY"),
    row("anyscale", "anyscale", "ANYSCALE_API_KEY"),
    row("ollama", "ollama", ""),
    row("ollama_chat", "ollama", ""),
    row("vllm", "vllm", ""),
    row("hosted_vllm", "vllm", ""),
    row("lm_studio", "lm-studio", ""),
    row("llamafile", "llama-cpp", ""),
    row("xinference", "openai", ""),
];

/// How names begin that LiteLLM knows without a prefix.
const BARE: [(&str, &str); 14] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("text-embedding-", "openai"),
    ("text-moderation-", "openai"),
    ("omni-moderation-", "openai"),
    ("dall-e-", "openai"),
    ("tts-1", "openai"),
    ("whisper-1", "openai"),
    ("claude-", "anthropic"),
    ("command-", "cohere"),
];
/// Words between prefix and model that choose a way through LiteLLM's own code.
const WAYS: [&str; 4] = ["responses/", "o_series/", "gpt5_series/", "chat/"];

/// Returns the vendor of a `model` and the name that the vendor knows it by. `named` is `custom_llm_provider`.
pub(super) fn of<'a>(model: &'a str, named: Option<&str>) -> Result<(&'static Vendor, &'a str), String> {
    let (prefix, rest) = match (named, model.split_once('/')) {
        (Some(named), Some((prefix, rest))) if prefix == named => (named, rest),
        (Some(named), _) => (named, model),
        (None, Some((prefix, rest))) => (prefix, rest),
        (None, None) => {
            let bare = BARE.iter().find(|(start, _)| model.starts_with(start));
            (bare.map_or("", |(_, prefix)| *prefix), model)
        }
    };
    let Some(vendor) = VENDORS.iter().find(|vendor| vendor.prefix == prefix) else {
        return Err(prefix.to_owned());
    };
    let way = WAYS.iter().filter(|_| matches!(vendor.prefix, "openai" | "azure"));
    let rest = way.filter_map(|way| rest.strip_prefix(way)).next().unwrap_or(rest);
    Ok((vendor, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_is_one_of_this_gateway() {
        for vendor in VENDORS {
            let found = tidegate_providers::registry::find(vendor.slug);
            assert!(found.is_some(), "{} is no vendor", vendor.slug);
        }
    }

    #[test]
    fn prefixes_and_well_known_names_say_the_vendor() {
        for (model, named, slug, native) in [
            ("openai/gpt-4o", None, "openai", "gpt-4o"),
            ("azure/o_series/dep", None, "azure-openai", "dep"),
            ("openrouter/anthropic/claude", None, "openrouter", "anthropic/claude"),
            ("claude-sonnet-4-5", None, "anthropic", "claude-sonnet-4-5"),
            ("meta/llama", Some("nvidia_nim"), "nvidia", "meta/llama"),
            ("groq/llama", Some("groq"), "groq", "llama"),
        ] {
            let (vendor, rest) = of(model, named).unwrap_or_else(|unknown| panic!("{model}: {unknown}"));
            assert_eq!((vendor.slug, rest), (slug, native), "{model}");
        }
        assert_eq!(of("bedrock/claude", None).err().as_deref(), Some("bedrock"));
        assert_eq!(of("some-model", None).err().as_deref(), Some(""));
    }
}
