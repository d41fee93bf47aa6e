// BullMQ: one worker, 200 jobs at once.
"use strict";
const { Queue, Worker } = require("bullmq");
const { batches, instant, note, redis, scheduled } = require("./common.js");

const connection = { ...redis, maxRetriesPerRequest: null };

async function main() {
  const queue = new Queue("bench", { connection });
  const began = Date.now();
  for (const numbers of batches(1000)) {
    await queue.addBulk(
      numbers.map((number) => ({
        name: "job",
        data: { number },
        opts: { delay: instant - Date.now(), removeOnComplete: true },
      })),
    );
  }
  scheduled(began);
  new Worker("bench", async (job) => note(job.data.number), { connection, concurrency: 200 });
}

main();
