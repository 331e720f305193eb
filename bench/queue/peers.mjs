// What others do with tasks that do nothing. Prints {tasks, seconds, cpu}: from the first task's start to the last one's end,
// with everything waiting before; cpu is this process's.
// usage: peers.mjs graphile DATABASE_URL JOBS | bullmq REDIS_URL FLOWS

const CONCURRENCY = 64;

function measured() {
  const began = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  return (tasks) => {
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    const used = process.cpuUsage(cpu);
    return JSON.stringify({ tasks, seconds, cpu: (used.user + used.system) / 1e6 });
  };
}

async function graphile(url, jobs) {
  const { run, makeWorkerUtils, Logger } = await import("graphile-worker");
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  await utils.withPgClient((client) =>
    client.query("SELECT graphile_worker.add_job('nothing', '{}'::json) FROM generate_series(1, $1::int)", [jobs]));
  await utils.withPgClient((client) => client.query("VACUUM ANALYZE"));
  let left = jobs;
  let end;
  const ended = new Promise((resolve) => { end = resolve; });
  const stop = measured();
  // As its documentation tunes it for many small jobs: a local queue, and completions in batches.
  const runner = await run({
    connectionString: url,
    concurrency: CONCURRENCY,
    maxPoolSize: 10,
    noHandleSignals: true,
    logger,
    preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    taskList: { nothing: async () => { left -= 1; if (left === 0) end(); } },
  });
  await ended;
  const figures = stop(jobs);
  await runner.stop();
  await utils.release();
  return figures;
}

async function bullmq(url, flows) {
  const { FlowProducer, Worker } = await import("bullmq");
  const { port } = new URL(url);
  const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
  const producer = new FlowProducer({ connection });
  const options = { removeOnComplete: true };
  const node = (name, children = []) => ({ name, queueName: "bench", opts: options, children });
  // A tree is all that flows know: one task at the bottom, five above it of which one needs it, one at the top.
  const middle = () => [node("resize", [node("inspect")]), ...Array.from({ length: 4 }, () => node("compress"))];
  for (let n = 0; n < flows; n += 100) {
    const some = Array.from({ length: Math.min(100, flows - n) }, () => node("publish", middle()));
    await producer.addBulk(some);
  }
  const tasks = flows * 7;
  let left = tasks;
  let end;
  const ended = new Promise((resolve) => { end = resolve; });
  const stop = measured();
  const workers = Array.from({ length: 2 }, () =>
    new Worker("bench", async () => {}, { connection, concurrency: CONCURRENCY }));
  for (const worker of workers) {
    worker.on("completed", () => { left -= 1; if (left === 0) end(); });
  }
  await ended;
  const figures = stop(tasks);
  await Promise.all([...workers.map((worker) => worker.close()), producer.close()]);
  return figures;
}

const [, , peer, url, count] = process.argv;
const figures = await { graphile, bullmq }[peer](url, Number(count));
console.log(figures);
process.exit(0);
