// The promises, each by its name, kept by services that run under Bun.
import { subjectIs } from './support/subject'

await subjectIs('bun')
await import('./promises.test')
