//! What the pages say around the entries, in each language.

use crate::entry::{Language, Who};

/// Headings and labels of one language.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) tag: &'static str,
    pub(crate) name: &'static str,
    pub(crate) site: &'static str,
    pub(crate) about: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) all: &'static str,
    pub(crate) search: &'static str,
    pub(crate) search_hint: &'static str,
    pub(crate) found: &'static str,
    pub(crate) also_as: &'static str,
    pub(crate) text: &'static str,
    pub(crate) same_text: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) versions: &'static str,
    pub(crate) workarounds: &'static str,
    pub(crate) dead_ends: &'static str,
    pub(crate) corrections: &'static str,
    pub(crate) said: &'static str,
    pub(crate) is: &'static str,
    pub(crate) confused_with: &'static str,
    pub(crate) leads_to: &'static str,
    pub(crate) evidence: &'static str,
    pub(crate) read: &'static str,
    pub(crate) test: &'static str,
    pub(crate) policy: &'static str,
    pub(crate) every_version: &'static str,
    pub(crate) not_involved: &'static str,
    pub(crate) colon: &'static str,
    pub(crate) counted: &'static str,
}

const EN: Words = Words {
    tag: "en",
    name: "English",
    site: "stateward knowledge base",
    about: "Errors of Terraform and OpenTofu state on AWS: what each text means, what ends it, and what only seems to.",
    skip: "Skip to content",
    all: "All entries",
    search: "Search",
    search_hint: "Words, or the error text itself",
    found: "found",
    also_as: "Also as",
    text: "The text",
    same_text: "No text tells this from",
    cause: "Cause",
    versions: "Versions",
    workarounds: "What helps",
    dead_ends: "What does not help",
    corrections: "Often said, and wrong",
    said: "Said",
    is: "True",
    confused_with: "Easily confused with",
    leads_to: "What may come next",
    evidence: "Evidence",
    read: "read",
    test: "Test of this repository",
    policy: "Policy",
    every_version: "every version",
    not_involved: "not involved",
    colon: ": ",
    counted: "Ends {m} of {n} enumerated causes.",
};

const ZH: Words = Words {
    tag: "zh",
    name: "中文",
    site: "stateward 知识库",
    about: "AWS 上 Terraform 与 OpenTofu 状态的错误：每段文字的含义、真正能解决它的做法，以及只是看似有用的做法。",
    skip: "跳到正文",
    all: "全部条目",
    search: "搜索",
    search_hint: "关键词，或直接粘贴错误文字",
    found: "条结果",
    also_as: "其他格式",
    text: "错误文字",
    same_text: "仅凭文字无法与它区分的条目",
    cause: "原因",
    versions: "版本",
    workarounds: "有用的做法",
    dead_ends: "无用的做法",
    corrections: "常见但错误的说法",
    said: "说法",
    is: "事实",
    confused_with: "容易混淆的条目",
    leads_to: "接下来可能遇到",
    evidence: "依据",
    read: "阅读日期",
    test: "本仓库的测试",
    policy: "策略",
    every_version: "所有版本",
    not_involved: "无关",
    colon: "：",
    counted: "在列举的 {n} 个原因中结束 {m} 个。",
};

impl Words {
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &EN,
            Language::Zh => &ZH,
        }
    }

    /// A version range in words.
    pub(crate) fn range<'a>(&self, range: &'a str) -> &'a str
    where
        Self: 'a,
    {
        match range {
            "all" => self.every_version,
            "none" => self.not_involved,
            range => range,
        }
    }
}

/// Who can do something, in words.
pub(crate) fn who(who: Who, language: Language) -> &'static str {
    match (who, language) {
        (Who::You, Language::En) => "You",
        (Who::You, Language::Zh) => "你",
        (Who::AccountAdmin, Language::En) => "The account's administrator",
        (Who::AccountAdmin, Language::Zh) => "账户管理员",
        (Who::OrganizationAdmin, Language::En) => "The organization's administrator",
        (Who::OrganizationAdmin, Language::Zh) => "组织管理员",
        (Who::KeyOwner, Language::En) => "The owner of the key",
        (Who::KeyOwner, Language::Zh) => "密钥所有者",
        (Who::ResourceOwner, Language::En) => "The owner of the resource",
        (Who::ResourceOwner, Language::Zh) => "资源所有者",
    }
}

/// What a domain is about.
pub(crate) fn domain(domain: &str, language: Language) -> &str {
    match (domain, language) {
        ("credentials", Language::En) => "Credentials",
        ("credentials", Language::Zh) => "凭证",
        ("kms", Language::En) => "Encryption keys",
        ("kms", Language::Zh) => "加密密钥",
        ("lock", Language::En) => "Locks",
        ("lock", Language::Zh) => "锁",
        ("network", Language::En) => "Network",
        ("network", Language::Zh) => "网络",
        ("policy", Language::En) => "Refused by a policy",
        ("policy", Language::Zh) => "被策略拒绝",
        ("role", Language::En) => "Assuming roles",
        ("role", Language::Zh) => "担任角色",
        ("state", Language::En) => "State and plans",
        ("state", Language::Zh) => "状态与计划",
        ("storage", Language::En) => "Buckets, tables and stores",
        ("storage", Language::Zh) => "存储桶、表与存储",
        (domain, _) => domain,
    }
}
