//! What segments are wrapped in, in the words of recipes and records and in those of the media code, which knows neither.

use mediaflow_core::operation::Packaging;
use mediaflow_media::video::plan;

pub(crate) fn planned(packaging: Packaging) -> plan::Packaging {
    match packaging {
        Packaging::Cmaf => plan::Packaging::Cmaf,
        Packaging::Ts => plan::Packaging::MpegTs,
    }
}

pub(crate) fn recorded(packaging: plan::Packaging) -> Packaging {
    match packaging {
        plan::Packaging::Cmaf => Packaging::Cmaf,
        plan::Packaging::MpegTs => Packaging::Ts,
    }
}
