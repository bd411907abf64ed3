// pipe-plain.mjs write | pipe-plain.mjs read
import { read, write } from './pipe-ends.mjs'

if (process.argv[2] === 'write') await write(process.stdout)
else await read(process.stdin)
