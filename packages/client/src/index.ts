export const PROTOCOL = "millrace.v1";
