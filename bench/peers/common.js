// What the Node peers share: their command line and the file that their jobs report to (see tally.py).
"use strict";
const fs = require("node:fs");

const [url, file, count, instant] = process.argv.slice(2);
const { hostname, port, password, pathname } = new URL(url);
const reports = fs.openSync(file, "a");

exports.count = Number(count);
exports.instant = Number(instant) * 1000;
exports.redis = { host: hostname, port: Number(port), password: password || undefined, db: Number(pathname.slice(1)) };

exports.note = (number) => {
  const report = Buffer.allocUnsafe(16);
  report.writeDoubleLE(number, 0);
  report.writeDoubleLE(Date.now() / 1000, 8);
  fs.writeSync(reports, report);
};

exports.scheduled = (since) => console.log(`scheduled ${((Date.now() - since) / 1000).toFixed(3)}`);

exports.batches = function* (size) {
  for (let first = 0; first < exports.count; first += size) {
    yield Array.from({ length: Math.min(size, exports.count - first) }, (_, at) => first + at);
  }
};
