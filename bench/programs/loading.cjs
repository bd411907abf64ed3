// Loads what it is told to, or nothing, and prints what that cost.
const begun = performance.now()
if (process.argv[2]) require(process.argv[2])
const ms = performance.now() - begun
console.log(JSON.stringify({ ms, megabytes: process.memoryUsage.rss() / 2 ** 20 }))
