//! The terminal while it is ours: another screen, keys at once, no cursor. It is given back however this ends.

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use crossterm::style::Print;
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use std::io::{self, Write as _};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a thread that waits for keys may outlive the screen.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a person has pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// q, escape or ctrl-C.
    Quit,
    /// Anything else, or the window has another size: look again.
    Other,
}

/// Gives the terminal back when it is dropped, and before a panic is told.
pub(super) struct Screen {
    keys: mpsc::Receiver<Key>,
}

impl Screen {
    pub(super) fn take() -> io::Result<Self> {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            told(panic);
        }));
        enable_raw_mode()?;
        let (pressed, keys) = mpsc::channel(16);
        let screen = Self { keys };
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || listen(&pressed))?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        match terminal::size() {
            Ok((columns, lines)) if columns > 0 && lines > 0 => (columns.into(), lines.into()),
            _ => (80, 24),
        }
    }

    /// Shows these lines, which fit. Each is written over what was there: a cleared screen would flicker.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        queue!(out, MoveTo(0, 0))?;
        for (n, line) in lines.iter().enumerate() {
            let row = u16::try_from(n).unwrap_or(u16::MAX);
            queue!(
                out,
                MoveTo(0, row),
                Print(line),
                Clear(ClearType::UntilNewLine)
            )?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()
    }

    /// The next key. Without a keyboard there is none, ever.
    pub(super) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Doing it twice changes nothing. What fails here has nobody to be told to.
fn restore() {
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

fn listen(pressed: &mpsc::Sender<Key>) {
    while !pressed.is_closed() {
        let key = match poll(PATIENCE) {
            Ok(false) => continue,
            Ok(true) => read().map(meaning),
            Err(error) => Err(error),
        };
        match key {
            Ok(None) => {}
            Ok(Some(key)) => {
                if pressed.blocking_send(key).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn meaning(event: Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind,
        ..
    }) = event
    else {
        return matches!(event, Event::Resize(..)).then_some(Key::Other);
    };
    if kind == KeyEventKind::Release {
        return None;
    }
    let is_interrupt = code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        _ if is_interrupt => Some(Key::Quit),
        _ => Some(Key::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    const LEFT: &str = "\x1b[?1049l";

    #[test]
    #[ignore = "the test below runs it, in a terminal of its own"]
    fn panics_on_the_screen() {
        let _screen = Screen::take().expect("a terminal");
        panic!("seen by who looked");
    }

    #[test]
    fn a_panic_is_told_after_the_terminal_was_given_back() {
        let me = std::env::current_exe().expect("a path");
        let line = format!(
            "{} --exact commands::top::screen::tests::panics_on_the_screen --ignored --nocapture; stty -a",
            me.display()
        );
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is a part of every Debian");
        let keys = child.stdin.take();
        let mut shown = String::new();
        let mut out = child.stdout.take().expect("it is piped");
        out.read_to_string(&mut shown).expect("text");
        drop(keys);
        child.wait().expect("it ends");
        let left = shown.find(LEFT).unwrap_or_else(|| panic!("{shown:?}"));
        let told = shown.find("seen by who looked");
        assert!(told.is_some_and(|told| left < told), "{shown:?}");
        let settings = &shown[left..];
        assert!(
            settings.contains(" icanon") && settings.contains(" echo "),
            "{settings:?}"
        );
    }
}
