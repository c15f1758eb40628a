/** The servers take turns on one core; what drives them has another. */
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';
