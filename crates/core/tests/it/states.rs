//! States: their names, and which changes are legal at all.

use mediaflow_core::{AssetState, ErrorCode, EventType, RunState, TaskState};

#[test]
fn an_ended_task_moves_only_by_replay_or_when_what_it_needs_is_replayed() {
    let moves = |from: TaskState| -> Vec<TaskState> {
        let all = TaskState::ALL.iter().copied();
        all.filter(|&to| from.allows(to)).collect()
    };
    assert_eq!(moves(TaskState::Succeeded), []);
    assert_eq!(moves(TaskState::Skipped), []);
    assert_eq!(moves(TaskState::Dead), [TaskState::Ready]);
    assert_eq!(moves(TaskState::Cancelled), [TaskState::Pending]);
    for &state in TaskState::ALL {
        assert!(!state.allows(state), "{state:?} to itself is no change");
        let may_be_cancelled = state.allows(TaskState::Cancelled);
        assert_eq!(may_be_cancelled, !state.is_ended(), "{state:?}");
    }
}

#[test]
fn every_name_is_read_back_and_is_what_json_says() {
    for &state in TaskState::ALL {
        assert_eq!(TaskState::parse(state.as_str()), Some(state));
        assert_eq!(serde_json::to_value(state).expect("plain"), state.as_str());
    }
    for &state in RunState::ALL {
        assert_eq!(RunState::parse(state.as_str()), Some(state));
        assert_eq!(serde_json::to_value(state).expect("plain"), state.as_str());
    }
    for &state in AssetState::ALL {
        assert_eq!(AssetState::parse(state.as_str()), Some(state));
        assert_eq!(serde_json::to_value(state).expect("plain"), state.as_str());
    }
    for &code in ErrorCode::ALL {
        assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        assert_eq!(serde_json::to_value(code).expect("plain"), code.as_str());
        assert!((400..600).contains(&code.status()), "{code}");
    }
    for &kind in EventType::ALL {
        assert_eq!(EventType::parse(kind.as_str()), Some(kind));
    }
}
