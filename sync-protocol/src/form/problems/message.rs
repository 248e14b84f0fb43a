//! What problems say.

use super::super::Field;
use super::{Level, Problem};

/// The problems that every form can have.
#[derive(Clone, Copy)]
pub(super) enum Said {
    Required,
    Kind,
    Choice,
    Range,
    TooLong,
    TooMany,
    Exclusive,
    UncheckedReason,
    BadRemark,
    BadFinding,
    BadBlob,
    VideoUrl,
    MyNumber,
}

impl Said {
    /// This problem at `path`, named after the field.
    pub(super) fn of(self, field: &Field, path: &str) -> Problem {
        let (code, ja, en) = self.words();
        let most = || field.max.clone().unwrap_or_default();
        let bounds = match self {
            Self::Range => format!(" ({}–{})", field.min.as_deref().unwrap_or_default(), most()),
            Self::TooLong | Self::TooMany => format!(" ({})", most()),
            Self::VideoUrl => format!(" ({})", field.hosts.join(", ")),
            Self::Required
            | Self::Kind
            | Self::Choice
            | Self::Exclusive
            | Self::UncheckedReason
            | Self::BadRemark
            | Self::BadFinding
            | Self::BadBlob
            | Self::MyNumber => String::new(),
        };
        Problem {
            path: path.to_owned(),
            level: Level::Submit,
            code: code.to_owned(),
            ja: format!("「{}」{ja}{bounds}", field.label.ja),
            en: format!("{}: {en}{bounds}", field.label.en),
        }
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Required => ("required", "を入力してください", "an answer is required"),
            Self::Kind => ("kind", "の形式が正しくありません", "the value has another form"),
            Self::Choice => ("choice", "が選択肢にありません", "not one of the choices"),
            Self::Range => ("range", "が範囲外です", "outside the range"),
            Self::TooLong => ("too_long", "が長すぎます", "too long"),
            Self::TooMany => ("too_many", "が多すぎます", "too many"),
            Self::Exclusive => (
                "exclusive",
                "は他の選択肢と同時に選べません",
                "a choice that stands alone stands beside others",
            ),
            Self::UncheckedReason => (
                "unchecked_reason",
                "が未確認です。理由を備考に書いてください",
                "not checked: the remark must say why",
            ),
            Self::BadRemark => {
                ("bad_remark", "が不良です。備考を書いてください", "bad: a remark is required")
            }
            Self::BadFinding => (
                "bad_finding",
                "が不良です。指摘事項を対応づけてください",
                "bad: it must name one of the findings",
            ),
            Self::BadBlob => (
                "bad_blob",
                "に写真・動画として保存できない項目があります",
                "names no photo or video that can be stored",
            ),
            Self::VideoUrl => (
                "video_url",
                "は許可されたホストの https:// のURLにしてください",
                "not an https:// address on an allowed host",
            ),
            Self::MyNumber => (
                "my_number",
                "に個人番号と思われる12桁の数字があります。削除してください",
                "looks like a My Number: remove it",
            ),
        }
    }
}
