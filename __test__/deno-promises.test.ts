// The promises, each by its name, kept by services that run under Deno.
import { subjectIs } from './support/subject'

await subjectIs('deno')
await import('./promises.test')
