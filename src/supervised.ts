/**
 * What the first generation decided about its supervisor, as the later ones inherit it: the supervisor's name, or nothing
 * for none. Read when the package is loaded, and removed so that no other program the service starts believes it.
 */

/** Carries the first generation's decision to the later ones. */
export const SUPERVISED_VARIABLE = 'SHELLFLIP_SUPERVISED'

/** Undefined in a first generation. */
export const inheritedSupervisor: string | undefined = process.env[SUPERVISED_VARIABLE]
delete process.env[SUPERVISED_VARIABLE]
