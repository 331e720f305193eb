// Whether the server answers. When it comes back everything that is shown is asked for again.

export const connection = $state({
  /** When it stopped answering. */
  lostAt: null as number | null,
  /** Rises each time the server came back. */
  epoch: 0,
});

let waiting: ReturnType<typeof setTimeout> | undefined;

const PATIENCE_MS = 5000;
const knocked = () => fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });

export function heard(): void {
  if (connection.lostAt === null) return;
  connection.lostAt = null;
  connection.epoch += 1;
}

export function unheard(): void {
  connection.lostAt ??= Date.now();
  waiting ??= setTimeout(knock, 1000);
}

/** Something broke that may have another reason: asks whether the server is there. */
export async function doubt(): Promise<void> {
  try {
    await knocked();
  } catch {
    unheard();
  }
}

async function knock(): Promise<void> {
  waiting = undefined;
  try {
    const answer = await knocked();
    if (answer.ok) return heard();
  } catch {
    // Not yet.
  }
  waiting = setTimeout(knock, 1000);
}
