// The same instance as for require(): whoever imports and whoever requires share one service.
export * from './index.js'
