/** Style sheets are built by vite; a script only asks for them. */
declare module '*.css';
