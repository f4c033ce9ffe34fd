//! The vendors. Sorted by slug; places and names as the vendors' documentation gives them.
//!
//! A vendor's endpoints are those it documents in OpenAI's format; every conversational one is then reachable by
//! translation to its chat endpoint.

use super::openai_models::NOT_AT_OPENAI;
use super::quirks::Quirks;
use super::vendor::Compatible;
use crate::provider::Endpoint;

const CHAT: &[Endpoint] = &[Endpoint::Chat];
const CHAT_TEXT: &[Endpoint] = &[Endpoint::Chat, Endpoint::Completions];
const CHAT_EMBED: &[Endpoint] = &[Endpoint::Chat, Endpoint::Embeddings];
const CHAT_IMAGE: &[Endpoint] = &[Endpoint::Chat, Endpoint::ImageGenerations];
const CHAT_TEXT_EMBED: &[Endpoint] = &[Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings];
const CHAT_EMBED_IMAGE: &[Endpoint] = &[Endpoint::Chat, Endpoint::Embeddings, Endpoint::ImageGenerations];
const CHAT_TEXT_EMBED_IMAGE: &[Endpoint] =
    &[Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::ImageGenerations];
/// vLLM, llama.cpp, Ollama, LM Studio and SGLang document the responses API beside the older three.
const SERVER: &[Endpoint] =
    &[Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::Responses];
const EMBED: &[Endpoint] = &[Endpoint::Embeddings];
const IMAGE: &[Endpoint] = &[Endpoint::ImageGenerations];

const ALL: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::ImageGenerations,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];

const NEW_TOKENS: Quirks = Quirks::MAX_COMPLETION_TOKENS;
/// Hosts of OpenAI's models.
const OPENAI: Quirks = Quirks::OPENAI_MODELS.and(Quirks::DEVELOPER_ROLE).and(NEW_TOKENS);
/// Servers on the user's own machines.
const LOCAL: Quirks = Quirks::BARE_HOST.and(Quirks::NO_KEY);

/// Mistral answers 422 to every member it doesn't know; these are the ones that clients of OpenAI send.
const NOT_AT_MISTRAL: &[&str] = &[
    "user",
    "store",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "top_k",
    "min_p",
    "service_tier",
    "modalities",
    "audio",
    "verbosity",
    "web_search_options",
    "prompt_cache_retention",
    "safety_identifier",
    "functions",
    "function_call",
    "thinking",
    "reasoning",
    "repetition_penalty",
    "stream_options",
];

/// Refused or answered with 400 according to Groq's notes on compatibility.
const NOT_AT_GROQ: &[&str] = &["logprobs", "top_logprobs", "logit_bias", "top_k", "min_p"];

const fn row(
    slug: &'static str,
    base: &'static str,
    keys: &'static [&'static str],
    offers: &'static [Endpoint],
) -> Compatible {
    Compatible::new(slug, base, keys, offers)
}

/// Every vendor that speaks OpenAI's wire.
pub static VENDORS: &[Compatible] = &[
    row("302ai", "https://api.302.ai/v1", &["AI302_API_KEY"], CHAT),
    row("ai21", "https://api.ai21.com/studio/v1", &["AI21_API_KEY"], CHAT).quirks(Quirks::NO_MODEL_LIST),
    row("aibadgr", "https://aibadgr.com/api/v1", &["AIBADGR_API_KEY"], CHAT),
    row("anyscale", "https://api.endpoints.anyscale.com/v1", &["ANYSCALE_API_KEY"], CHAT_TEXT_EMBED),
    row(
        "azure-ai",
        "{azure_foundry_url}",
        &["AZURE_AI_API_KEY", "AZURE_INFERENCE_CREDENTIAL"],
        CHAT_EMBED_IMAGE,
    )
    .quirks(OPENAI)
    .key_header("api-key"),
    row("byteplus", "https://ark.ap-southeast.bytepluses.com/api/v3", &["ARK_API_KEY"], CHAT_EMBED_IMAGE)
        .quirks(Quirks::NO_MODEL_LIST),
    row("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"], CHAT_TEXT).quirks(NEW_TOKENS),
    row("cohere", "https://api.cohere.ai/compatibility/v1", &["COHERE_API_KEY", "CO_API_KEY"], CHAT_EMBED)
        .quirks(Quirks::NO_MODEL_LIST),
    row("cometapi", "https://api.cometapi.com/v1", &["COMETAPI_API_KEY", "COMETAPI_KEY"], CHAT_EMBED),
    row(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
        CHAT_EMBED,
    ),
    row(
        "databricks",
        "https://{databricks_workspace,workspace|.cloud.databricks.com}/serving-endpoints",
        &["DATABRICKS_TOKEN", "DATABRICKS_API_KEY"],
        CHAT_TEXT_EMBED,
    )
    .quirks(Quirks::NO_MODEL_LIST),
    row("deepbricks", "https://api.deepbricks.ai/v1", &["DEEPBRICKS_API_KEY"], CHAT_IMAGE),
    row(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        CHAT_TEXT_EMBED_IMAGE,
    ),
    row("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"], CHAT),
    row("featherless-ai", "https://api.featherless.ai/v1", &["FEATHERLESS_API_KEY"], CHAT_TEXT),
    row("fireworks-ai", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"], CHAT_TEXT_EMBED)
        .quirks(NEW_TOKENS),
    row("github", "https://models.github.ai/inference", &["GITHUB_TOKEN", "GITHUB_MODELS_TOKEN"], CHAT_EMBED)
        .quirks(OPENAI.and(Quirks::NO_MODEL_LIST)),
    row(
        "groq",
        "https://api.groq.com/openai/v1",
        &["GROQ_API_KEY"],
        &[
            Endpoint::Chat,
            Endpoint::Responses,
            Endpoint::Speech,
            Endpoint::Transcriptions,
            Endpoint::Translations,
        ],
    )
    .quirks(NEW_TOKENS)
    .drops(NOT_AT_GROQ),
    row("huggingface", "https://router.huggingface.co/v1", &["HF_TOKEN", "HUGGINGFACE_API_KEY"], CHAT),
    row("hyperbolic", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"], CHAT_TEXT),
    row(
        "inference-net",
        "https://api.inference.net/v1",
        &["INFERENCE_NET_API_KEY", "INFERENCE_API_KEY"],
        CHAT_TEXT,
    ),
    row(
        "iointelligence",
        "https://api.intelligence.io.solutions/api/v1",
        &["IOINTELLIGENCE_API_KEY"],
        CHAT_EMBED,
    ),
    row("jina", "https://api.jina.ai/v1", &["JINA_API_KEY"], EMBED).quirks(Quirks::NO_MODEL_LIST),
    row("kluster-ai", "https://api.kluster.ai/v1", &["KLUSTER_API_KEY", "KLUSTERAI_API_KEY"], CHAT_EMBED),
    row("krutrim", "https://cloud.olakrutrim.com/v1", &["KRUTRIM_API_KEY", "KRUTRIM_CLOUD_API_KEY"], CHAT),
    row("lambda", "https://api.lambda.ai/v1", &["LAMBDA_API_KEY"], CHAT_TEXT),
    row("latitude", "https://api.lsh.ai/v1", &["LATITUDE_API_KEY"], CHAT),
    row(
        "lemonfox-ai",
        "https://api.lemonfox.ai/v1",
        &["LEMONFOX_API_KEY"],
        &[Endpoint::Chat, Endpoint::ImageGenerations, Endpoint::Speech, Endpoint::Transcriptions],
    ),
    row(
        "lepton",
        "https://api.lepton.ai/api/v1",
        &["LEPTON_API_KEY"],
        &[Endpoint::Chat, Endpoint::Completions, Endpoint::Transcriptions],
    ),
    row("lightning-ai", "https://lightning.ai/api/v1", &["LIGHTNING_API_KEY"], CHAT),
    row("lingyi", "https://api.lingyiwanwu.com/v1", &["LINGYI_API_KEY"], CHAT),
    row("llama-cpp", "http://127.0.0.1:8080/v1", &["LLAMA_API_KEY"], SERVER).quirks(LOCAL.and(NEW_TOKENS)),
    row("lm-studio", "http://127.0.0.1:1234/v1", &["LM_API_TOKEN", "LM_STUDIO_API_KEY"], SERVER)
        .quirks(LOCAL),
    row(
        "localai",
        "http://127.0.0.1:8080/v1",
        &["LOCALAI_API_KEY"],
        &[
            Endpoint::Chat,
            Endpoint::Completions,
            Endpoint::Embeddings,
            Endpoint::ImageGenerations,
            Endpoint::Speech,
            Endpoint::Transcriptions,
        ],
    )
    .quirks(LOCAL),
    row("matterai", "https://api.matterai.so/v1", &["MATTERAI_API_KEY"], CHAT),
    row("minimax", "https://api.minimax.io/v1", &["MINIMAX_API_KEY"], CHAT)
        .quirks(NEW_TOKENS.and(Quirks::NO_MODEL_LIST)),
    row("mistral-ai", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"], CHAT_EMBED)
        .quirks(Quirks::NO_STREAM_OPTIONS.and(Quirks::RANDOM_SEED).and(Quirks::NO_EXTRA_CONTENT))
        .drops(NOT_AT_MISTRAL),
    row("modal", "https://api.modal.com/v1", &["MODAL_API_KEY"], CHAT_TEXT),
    row("monsterapi", "https://llm.monsterapi.ai/v1", &["MONSTERAPI_API_KEY", "MONSTER_API_KEY"], CHAT),
    row("moonshot", "https://api.moonshot.cn/v1", &["MOONSHOT_API_KEY"], CHAT),
    row("ncompass", "https://api.ncompass.tech/v1", &["NCOMPASS_API_KEY"], CHAT),
    row("nebius", "https://api.studio.nebius.ai/v1", &["NEBIUS_API_KEY"], CHAT_TEXT_EMBED_IMAGE),
    row("nextbit", "https://api.nextbit256.com/v1", &["NEXTBIT_API_KEY"], CHAT_TEXT),
    row("novita-ai", "https://api.novita.ai/openai/v1", &["NOVITA_API_KEY"], CHAT_TEXT_EMBED),
    row(
        "nscale",
        "https://inference.api.nscale.com/v1",
        &["NSCALE_API_KEY", "NSCALE_SERVICE_TOKEN"],
        CHAT_IMAGE,
    ),
    row("nvidia", "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"], CHAT_TEXT_EMBED),
    row("ollama", "http://127.0.0.1:11434/v1", &["OLLAMA_API_KEY"], SERVER).quirks(LOCAL),
    row("openai", "https://api.openai.com/v1", &["OPENAI_API_KEY"], ALL)
        .quirks(OPENAI.and(Quirks::NO_EXTRA_CONTENT))
        .drops(NOT_AT_OPENAI)
        .forwards(&["openai-organization", "openai-project", "openai-beta"]),
    row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
        &[Endpoint::Chat, Endpoint::Completions, Endpoint::Responses, Endpoint::Embeddings],
    )
    .quirks(OPENAI)
    .forwards(&["http-referer", "x-title"]),
    row(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        &["OVHCLOUD_API_KEY", "OVH_AI_ENDPOINTS_ACCESS_TOKEN"],
        CHAT_EMBED,
    ),
    row("perplexity-ai", "https://api.perplexity.ai", &["PERPLEXITY_API_KEY", "PPLX_API_KEY"], CHAT)
        .quirks(Quirks::NO_STREAM_OPTIONS.and(Quirks::NO_MODEL_LIST)),
    row("recraft-ai", "https://external.api.recraft.ai/v1", &["RECRAFT_API_KEY", "RECRAFT_API_TOKEN"], IMAGE)
        .quirks(Quirks::NO_MODEL_LIST),
    row("reka-ai", "https://api.reka.ai/v1", &["REKA_API_KEY"], CHAT),
    row("sambanova", "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"], CHAT_EMBED),
    row("sglang", "http://127.0.0.1:30000/v1", &["SGLANG_API_KEY"], SERVER).quirks(LOCAL.and(NEW_TOKENS)),
    row("siliconflow", "https://api.siliconflow.cn/v1", &["SILICONFLOW_API_KEY"], CHAT_EMBED_IMAGE),
    row("together-ai", "https://api.together.xyz/v1", &["TOGETHER_API_KEY"], CHAT_TEXT_EMBED_IMAGE),
    row("upstage", "https://api.upstage.ai/v1", &["UPSTAGE_API_KEY"], CHAT_EMBED),
    row("vllm", "http://127.0.0.1:8000/v1", &["VLLM_API_KEY"], SERVER).quirks(LOCAL.and(NEW_TOKENS)),
    row("voyage", "https://api.voyageai.com/v1", &["VOYAGE_API_KEY"], EMBED).quirks(Quirks::NO_MODEL_LIST),
    row(
        "workers-ai",
        "https://api.cloudflare.com/client/v4/accounts/{workers_ai_account_id,account_id}/ai/v1",
        &["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"],
        CHAT_EMBED,
    )
    .quirks(Quirks::NO_MODEL_LIST),
    row(
        "x-ai",
        "https://api.x.ai/v1",
        &["XAI_API_KEY"],
        &[
            Endpoint::Chat,
            Endpoint::Completions,
            Endpoint::Responses,
            Endpoint::Embeddings,
            Endpoint::ImageGenerations,
        ],
    )
    .quirks(NEW_TOKENS),
    row("z-ai", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"], CHAT_IMAGE),
    row(
        "zhipu",
        "https://open.bigmodel.cn/api/paas/v4",
        &["ZHIPU_API_KEY", "ZHIPUAI_API_KEY"],
        CHAT_EMBED_IMAGE,
    ),
];
