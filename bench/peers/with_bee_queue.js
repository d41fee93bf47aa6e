// bee-queue: one worker, 200 jobs at once.
"use strict";
const Queue = require("bee-queue");
const { batches, instant, note, redis, scheduled } = require("./common.js");

async function main() {
  const queue = new Queue("bench", {
    redis,
    activateDelayedJobs: true,
    removeOnSuccess: true,
    sendEvents: false,
    storeJobs: false,
  });
  const began = Date.now();
  for (const numbers of batches(1000)) {
    await queue.saveAll(numbers.map((number) => queue.createJob({ number }).delayUntil(instant)));
  }
  scheduled(began);
  queue.process(200, async (job) => note(job.data.number));
}

main();
