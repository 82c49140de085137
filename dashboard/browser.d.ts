// Types of build-time imports: styles, and files that the bundler copies, as addresses.
/// <reference types="vite/client" />
